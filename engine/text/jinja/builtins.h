// The functions that a template can call: filters, tests, methods of values, globals. Between the evaluator, which
// looks them up by name, and the operations of ops.h; knows no syntax.
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/text/jinja/value.h"

namespace headroom::jinja {

/// The arguments of a call put in the order of a function's parameters, as Python does it.
class Bound {
 public:
  /// Fails where there are too many arguments, an unknown name, one given twice, or fewer than n_required.
  Bound(Runtime& runtime, const CallArgs& args, std::string_view function,
        std::initializer_list<std::string_view> parameters, size_t n_required = 0);

  bool has(size_t i) const { return values_[i].has_value(); }
  Value get(size_t i, const Value& fallback = Value::none()) const { return values_[i].value_or(fallback); }
  bool get_flag(size_t i, bool fallback) const;
  /// An integer or, where it is not given or None, the fallback; fails for other types.
  int64_t get_integer(size_t i, int64_t fallback) const;
  /// A string, or nullptr where it is not given or None; fails for other types.
  const Text* get_text(size_t i) const;

 private:
  [[noreturn]] void fail_type(size_t i, const char* expected) const;

  Runtime& runtime_;
  std::string_view function_;
  std::vector<std::string_view> parameters_;
  Vector<std::optional<Value>> values_;
};

Value apply_filter(Runtime& runtime, std::string_view name, const Value& value, const CallArgs& args);
bool apply_test(Runtime& runtime, std::string_view name, const Value& value, const CallArgs& args);
bool has_filter(std::string_view name);
bool has_test(std::string_view name);

/// A method of a string, a dict, a list or a tuple, bound to it. Fails for methods that Python has but that are not
/// offered here (they change the object, or nobody needs them); nothing for any other name.
std::optional<Value> find_method(Runtime& runtime, const Value& object, std::string_view name);

/// Everything that a template finds without being given it: range, namespace, raise_exception, … date is what
/// strftime_now tells, "26 Jul 2024"; empty: today.
std::vector<std::pair<std::string_view, Value>> make_globals(Runtime& runtime, std::string_view date);

using Function = Value (*)(Runtime& runtime, const Value& receiver, const CallArgs& args);

/// A built-in function with the value that it belongs to.
struct BuiltinFunction : Callable {
  BuiltinFunction(Function f, const Value& r) : function(f), receiver(r) {}
  void drop() override { receiver = Value(); }
  Value call(Runtime& runtime, const CallArgs& args) const override {
    runtime.charge_call(receiver, args);
    return function(runtime, receiver, args);
  }
  Function function;
  Value receiver;
};

/// (key, value), as dicts give their entries.
Value pair_of(Runtime& runtime, const Value& key, const Value& value);

/// Filters by file; a table ends where its name is empty.
struct FilterEntry {
  std::string_view name;
  Function function;
};
extern const FilterEntry text_filters[];
extern const FilterEntry page_filters[];
extern const FilterEntry sequence_filters[];
/// Methods of strings that stand in a file of their own.
extern const FilterEntry more_string_methods[];

/// A text that is markup where the receiver is.
Value make_string_like(Runtime& runtime, const Value& receiver, Text text);
/// str.center.
Text centered(Runtime& runtime, const Value& value, int64_t width, const Text& fill);

/// Jinja's tojson as transformers sets it up: json.dumps(value, ensure_ascii=False, …).
Value filter_tojson(Runtime& runtime, const Value& value, const CallArgs& args);
/// template % values and template.format(…).
Value format_percent(Runtime& runtime, const Value& pattern, const Value& values);
Value format_braces(Runtime& runtime, const Value& pattern, const CallArgs& args);
/// time.strftime of a date.
Value format_date(Runtime& runtime, std::string_view date, const Text& pattern);

}  // namespace headroom::jinja
