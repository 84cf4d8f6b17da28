// The functions that a template can call: filters, tests, methods of values, globals. The evaluator looks them up by
// name; they use the operations of ops.h. Knows no syntax.
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/text/jinja/value.h"

namespace headroom::jinja {

/// The arguments of a call, assigned to the function's parameters by Python's rules.
class Bound {
 public:
  /// Fails for too many arguments, an unknown name, an argument given twice, or fewer than n_required.
  Bound(Runtime& runtime, const CallArgs& args, std::string_view function,
        std::initializer_list<std::string_view> parameters, size_t n_required = 0);

  bool has(size_t i) const { return values_[i].has_value(); }
  Value get(size_t i, const Value& fallback = Value::none()) const { return values_[i].value_or(fallback); }
  bool get_flag(size_t i, bool fallback) const;
  /// An integer, or the fallback if the argument is missing or None; fails for other types.
  int64_t get_integer(size_t i, int64_t fallback) const;
  /// A string, or nullptr if the argument is missing or None; fails for other types.
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

/// A method of a string, a dict, a list or a tuple, bound to that object. Fails for Python's methods that are not
/// supported here (they change the object, or no template needs them). Returns nothing for any other name.
std::optional<Value> find_method(Runtime& runtime, const Value& object, std::string_view name);

/// The predefined variables of every template: range, namespace, raise_exception, … date: the date for strftime_now,
/// "26 Jul 2024"; empty: today.
std::vector<std::pair<std::string_view, Value>> make_globals(Runtime& runtime, std::string_view date);

using Function = Value (*)(Runtime& runtime, const Value& receiver, const CallArgs& args);

/// A built-in function, bound to its receiver.
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

/// The tuple (key, value), as in dict.items().
Value pair_of(Runtime& runtime, const Value& key, const Value& value);

/// Tables of filters, one per file. The last entry of a table has an empty name.
struct FilterEntry {
  std::string_view name;
  Function function;
};
extern const FilterEntry text_filters[];
extern const FilterEntry page_filters[];
extern const FilterEntry sequence_filters[];
/// The string methods in string_methods.cpp.
extern const FilterEntry more_string_methods[];

/// A string value that is markup if the receiver is markup.
Value make_string_like(Runtime& runtime, const Value& receiver, Text text);
/// str.center.
Text centered(Runtime& runtime, const Value& value, int64_t width, const Text& fill);

/// The tojson filter as transformers defines it: json.dumps(value, ensure_ascii=False, …).
Value filter_tojson(Runtime& runtime, const Value& value, const CallArgs& args);
/// template % values and template.format(…).
Value format_percent(Runtime& runtime, const Value& pattern, const Value& values);
Value format_braces(Runtime& runtime, const Value& pattern, const CallArgs& args);
/// time.strftime for a date.
Value format_date(Runtime& runtime, std::string_view date, const Text& pattern);

}  // namespace headroom::jinja
