// The global functions of templates (range, dict, namespace, raise_exception, strftime_now, cycler, joiner), and the
// binding of arguments for all built-in functions. See builtins.h.
#include <algorithm>
#include <string>

#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/ops.h"

namespace headroom::jinja {

Bound::Bound(Runtime& runtime, const CallArgs& args, std::string_view function,
             std::initializer_list<std::string_view> parameters, size_t n_required)
    : runtime_(runtime), function_(function), parameters_(parameters), values_(parameters.size()) {
  const std::string name = "'" + std::string(function) + "'";
  if (args.positional.size() > values_.size()) {
    runtime.fail(name + " takes at most " + std::to_string(values_.size()) + " arguments, found " +
                 std::to_string(args.positional.size()));
  }
  std::copy(args.positional.begin(), args.positional.end(), values_.begin());
  for (const auto& [key, value] : args.named) {
    const auto found = std::find(parameters_.begin(), parameters_.end(), key.bytes());
    if (found == parameters_.end()) runtime.fail(name + " has no parameter '" + shown(key.bytes()) + "'");
    auto& place = values_[static_cast<size_t>(found - parameters_.begin())];
    if (place.has_value()) runtime.fail(name + " got its parameter '" + shown(key.bytes()) + "' twice");
    place = value;
  }
  for (size_t i = 0; i < n_required; ++i) {
    if (!values_[i]) runtime.fail(name + " needs its parameter '" + std::string(parameters_[i]) + "'");
  }
}

void Bound::fail_type(size_t i, const char* expected) const {
  runtime_.fail("'" + std::string(function_) + "' takes " + expected + " as '" + std::string(parameters_[i]) +
                "', found " + type_name(*values_[i]));
}

Value pair_of(Runtime& runtime, const Value& key, const Value& value) {
  Vector<Value> pair;
  pair.reserve(2);
  pair.push_back(key);
  pair.push_back(value);
  return runtime.make_tuple(std::move(pair));
}

bool Bound::get_flag(size_t i, bool fallback) const {
  return has(i) ? truthy(*values_[i]) : fallback;
}

int64_t Bound::get_integer(size_t i, int64_t fallback) const {
  if (!has(i) || values_[i]->is(Type::none)) return fallback;
  if (!values_[i]->is_integral()) fail_type(i, "an integer");
  return values_[i]->as_integer();
}

const Text* Bound::get_text(size_t i) const {
  if (!has(i) || values_[i]->is(Type::none)) return nullptr;
  if (!values_[i]->is(Type::string)) fail_type(i, "a string");
  return &values_[i]->text();
}

namespace {

Value call_range(Runtime& runtime, const Value&, const CallArgs& args) {
  const Bound bound(runtime, args, "range", {"start", "stop", "step"}, 1);
  const bool single = args.positional.size() < 2;
  const int64_t start = single ? 0 : bound.get_integer(0, 0);
  const int64_t stop = single ? bound.get_integer(0, 0) : bound.get_integer(1, 0);
  const int64_t step = bound.get_integer(2, 1);
  if (step == 0) runtime.fail("range got a step of zero");
  const bool from_user =
      std::any_of(args.positional.begin(), args.positional.end(), [](const Value& value) { return value.from_user; });
  // Unsigned differences can represent every distance between two 64-bit integers.
  const bool empty = step > 0 ? start >= stop : start <= stop;
  const uint64_t distance = step > 0 ? static_cast<uint64_t>(stop) - static_cast<uint64_t>(start)
                                     : static_cast<uint64_t>(start) - static_cast<uint64_t>(stop);
  const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
  const uint64_t count = empty ? 0 : (distance - 1) / stride + 1;
  if (count > static_cast<uint64_t>(runtime.limits.max_range)) {
    runtime.fail("a range has more than " + std::to_string(runtime.limits.max_range) + " numbers");
  }
  Vector<Value> items;
  items.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    items.push_back(
        Value::of(static_cast<int64_t>(static_cast<uint64_t>(start) + i * static_cast<uint64_t>(step)), from_user));
  }
  return runtime.make_sequence(Sequence::Kind::range, std::move(items));
}

template <Type type>
Value call_dict(Runtime& runtime, const Value&, const CallArgs& args) {
  if (args.positional.size() > 1) runtime.fail("dict and namespace take at most one value without a name");
  Dict* dict = runtime.make<Dict>();
  for (const Value& source : args.positional) {
    if (source.is(Type::dict)) {
      for (const auto& [key, value] : source.dict().entries) set_entry(runtime, *dict, key, value);
      continue;
    }
    for (const Value& item : items_of(runtime, source)) {
      const Vector<Value> pair = items_of(runtime, item);
      if (pair.size() != 2) runtime.fail("dict needs pairs of a key and a value");
      set_entry(runtime, *dict, pair[0], pair[1]);
    }
  }
  for (const auto& [key, value] : args.named) set_entry(runtime, *dict, key, value);
  return Value(dict, type);
}

/// The message of raise_exception, cut to a limit before it is copied further.
std::string shown_message(const Text& text) {
  constexpr size_t max_bytes = 1000;  // more than an error message shows
  return std::string(std::string_view(text.bytes()).substr(0, max_bytes));
}

Value call_raise_exception(Runtime& runtime, const Value&, const CallArgs& args) {
  const Bound bound(runtime, args, "raise_exception", {"message"}, 1);
  runtime.fail("the template says: " + shown_message(to_text(runtime, bound.get(0))));
}

Value call_strftime_now(Runtime& runtime, const Value& date, const CallArgs& args) {
  const Bound bound(runtime, args, "strftime_now", {"format"}, 1);
  const Text* format = bound.get_text(0);
  if (format == nullptr) runtime.fail("strftime_now takes a format string");
  return format_date(runtime, date.bytes(), *format);
}

/// joiner(separator): the first call returns an empty text, later calls return the separator.
struct Joiner : Callable {
  explicit Joiner(const Value& s) : separator(s) {}
  void drop() override { separator = Value(); }
  Value call(Runtime& runtime, const CallArgs&) const override {
    if (used) return separator;
    used = true;
    return runtime.make_string("");
  }
  Value separator;
  mutable bool used = false;
};

Value call_joiner(Runtime& runtime, const Value&, const CallArgs& args) {
  const Bound bound(runtime, args, "joiner", {"sep"});
  return Value(runtime.make<Joiner>(bound.has(0) ? bound.get(0) : runtime.make_string(", ")));
}

/// cycler(a, b, …): .next() returns one item after the other, .current is the item that comes next, .reset() restarts.
struct Cycler : Callable {
  explicit Cycler(Vector<Value> v) : items(std::move(v)) {}
  void drop() override { items.clear(); }
  Value call(Runtime& runtime, const CallArgs&) const override { runtime.fail("a cycler is not a function"); }
  std::optional<Value> attribute(Runtime& runtime, std::string_view name) const override {
    if (name == "current") return items[position];
    if (name == "next") return Value(runtime.make<BuiltinFunction>(next, Value(this)));
    if (name == "reset") return Value(runtime.make<BuiltinFunction>(reset, Value(this)));
    return std::nullopt;
  }
  static Value next(Runtime&, const Value& self, const CallArgs&) {
    const auto& cycler = static_cast<const Cycler&>(self.callable());
    const Value item = cycler.items[cycler.position];
    cycler.position = (cycler.position + 1) % cycler.items.size();
    return item;
  }
  static Value reset(Runtime&, const Value& self, const CallArgs&) {
    static_cast<const Cycler&>(self.callable()).position = 0;
    return Value::none();
  }
  Vector<Value> items;
  mutable size_t position = 0;
};

Value call_cycler(Runtime& runtime, const Value&, const CallArgs& args) {
  if (args.positional.empty() || !args.named.empty()) runtime.fail("cycler takes at least one value");
  return Value(runtime.make<Cycler>(args.positional));
}

}  // namespace

std::vector<std::pair<std::string_view, Value>> make_globals(Runtime& runtime, std::string_view date) {
  const auto function = [&runtime](Function f, const Value& receiver) {
    return Value(runtime.make<BuiltinFunction>(f, receiver));
  };
  return {
      {"range", function(call_range, Value())},
      {"dict", function(call_dict<Type::dict>, Value())},
      {"namespace", function(call_dict<Type::name_space>, Value())},
      {"raise_exception", function(call_raise_exception, Value())},
      {"strftime_now", function(call_strftime_now, runtime.make_string(date))},
      {"joiner", function(call_joiner, Value())},
      {"cycler", function(call_cycler, Value())},
  };
}

}  // namespace headroom::jinja
