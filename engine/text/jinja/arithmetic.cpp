// Python's operations on template values, second half: arithmetic with checked integers, attributes, items, slices.
// See ops.h.
#include <algorithm>
#include <cmath>
#include <string>

#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/ops.h"

namespace headroom::jinja {

namespace {

const char* symbol(Arithmetic op) {
  switch (op) {
    case Arithmetic::add:
      return "+";
    case Arithmetic::subtract:
      return "-";
    case Arithmetic::multiply:
      return "*";
    case Arithmetic::divide:
      return "/";
    case Arithmetic::floor_divide:
      return "//";
    case Arithmetic::modulo:
      return "%";
    case Arithmetic::power:
      return "**";
  }
  return "?";
}

[[noreturn]] void fail_overflow(Runtime& runtime) {
  runtime.fail("the result of an operation does not fit into a 64-bit integer");
}

int64_t integer_power(Runtime& runtime, int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) fail_overflow(runtime);
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) fail_overflow(runtime);
  }
  return result;
}

int64_t integer_arithmetic(Runtime& runtime, Arithmetic op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case Arithmetic::add:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case Arithmetic::subtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case Arithmetic::multiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case Arithmetic::floor_divide:
    case Arithmetic::modulo: {
      if (b == 0) runtime.fail("division by zero");
      if (b == -1) {  // INT64_MIN / -1 does not fit
        if (op == Arithmetic::modulo) return 0;
        overflow = __builtin_sub_overflow(int64_t{0}, a, &result);
        break;
      }
      const int64_t remainder = a % b;
      const bool adjust = remainder != 0 && (remainder < 0) != (b < 0);
      result = op == Arithmetic::modulo ? remainder + (adjust ? b : 0) : a / b - (adjust ? 1 : 0);
      break;
    }
    case Arithmetic::power:
      return integer_power(runtime, a, b);
    case Arithmetic::divide:
      break;
  }
  if (overflow) fail_overflow(runtime);
  return result;
}

double real_arithmetic(Runtime& runtime, Arithmetic op, double a, double b) {
  const bool divides = op == Arithmetic::divide || op == Arithmetic::floor_divide || op == Arithmetic::modulo;
  if (divides && b == 0) runtime.fail("division by zero");
  switch (op) {
    case Arithmetic::add:
      return a + b;
    case Arithmetic::subtract:
      return a - b;
    case Arithmetic::multiply:
      return a * b;
    case Arithmetic::divide:
      return a / b;
    case Arithmetic::floor_divide:
      return std::floor(a / b);
    case Arithmetic::modulo: {
      const double remainder = std::fmod(a, b);
      return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
    }
    case Arithmetic::power:
      break;
  }
  if (a < 0 && b != std::floor(b)) runtime.fail_unsupported("a complex number");
  if (a == 0 && b < 0) runtime.fail("0.0 cannot be raised to a negative power");
  const double result = std::pow(a, b);
  if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) runtime.fail("a power is too large for a float");
  return result;
}

Value repeat(Runtime& runtime, const Value& value, int64_t count) {
  const auto n = static_cast<size_t>(std::max<int64_t>(0, count));
  const size_t unit =
      value.is(Type::string) ? value.text().memory_bytes() : value.sequence().items.size() * sizeof(Value);
  if (unit == 0) return value;
  const size_t n_bytes = n > SIZE_MAX / 4 / unit ? SIZE_MAX / 4 : n * unit;
  runtime.check_memory(n_bytes);
  runtime.work(n_bytes);
  if (value.is(Type::string)) {
    return runtime.make_string(repeated(value.text(), n), value.string().markup);
  }
  Vector<Value> items;
  items.reserve(n * value.sequence().items.size());
  for (size_t i = 0; i < n; ++i) {
    items.insert(items.end(), value.sequence().items.begin(), value.sequence().items.end());
  }
  return runtime.make_sequence(value.sequence().kind, std::move(items));
}

Value add_strings(Runtime& runtime, const Value& a, const Value& b) {
  const bool markup = a.string().markup || b.string().markup;
  Text text = markup ? escape(runtime, a) : a.text();
  text.append(markup ? escape(runtime, b) : b.text());
  return runtime.make_string(std::move(text), markup);
}

bool is_list_or_tuple(const Value& value) {
  return value.is(Type::sequence) &&
         (value.sequence().kind == Sequence::Kind::list || value.sequence().kind == Sequence::Kind::tuple);
}

}  // namespace

Value arithmetic(Runtime& runtime, Arithmetic op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    const bool from_user = a.from_user || b.from_user;
    const bool negative_power = op == Arithmetic::power && b.is_integral() && b.as_integer() < 0;
    if (a.is_integral() && b.is_integral() && op != Arithmetic::divide && !negative_power) {
      return Value::of(integer_arithmetic(runtime, op, a.as_integer(), b.as_integer()), from_user);
    }
    return Value::of(real_arithmetic(runtime, op, a.as_real(), b.as_real()), from_user);
  }
  if (op == Arithmetic::modulo && a.is(Type::string)) return format_percent(runtime, a, b);
  if (op == Arithmetic::add && a.is(Type::string) && b.is(Type::string)) return add_strings(runtime, a, b);
  if (op == Arithmetic::add && is_list_or_tuple(a) && is_list_or_tuple(b) && type_name(a) == type_name(b)) {
    Vector<Value> items = items_of(runtime, a);
    const Vector<Value> more = items_of(runtime, b);
    items.insert(items.end(), more.begin(), more.end());
    return runtime.make_sequence(a.sequence().kind, std::move(items));
  }
  if (op == Arithmetic::multiply) {
    if ((a.is(Type::string) || is_list_or_tuple(a)) && b.is_integral()) return repeat(runtime, a, b.as_integer());
    if ((b.is(Type::string) || is_list_or_tuple(b)) && a.is_integral()) return repeat(runtime, b, a.as_integer());
  }
  for (const Value* side : {&a, &b}) {
    if (side->is(Type::undefined) && side->object != nullptr) {
      const auto* name = static_cast<const StringObject*>(side->object);
      runtime.fail("'" + shown(name->text.bytes()) + "' is undefined");
    }
  }
  runtime.fail(std::string("the operation '") + symbol(op) + "' does not take " + type_name(a) + " and " +
               type_name(b));
}

Value negate(Runtime& runtime, const Value& value) {
  if (value.is(Type::real)) return Value::of(-value.real, value.from_user);
  if (!value.is_integral()) runtime.fail("the sign '-' cannot be applied to " + type_name(value));
  return Value::of(integer_arithmetic(runtime, Arithmetic::subtract, 0, value.as_integer()), value.from_user);
}

namespace {

[[noreturn]] void fail_undefined(Runtime& runtime, const Value& object) {
  const auto* name = static_cast<const StringObject*>(object.object);
  runtime.fail(name == nullptr ? "the value is undefined" : "'" + shown(name->text.bytes()) + "' is undefined");
}

/// Byte position of the n-th character.
size_t char_offset(const StringObject& string, int64_t n) {
  const String& bytes = string.text.bytes();
  if (string.n_chars == bytes.size()) return static_cast<size_t>(n);
  size_t position = 0;
  for (int64_t i = 0; i < n; ++i) position += char_at(bytes, position).length;
  return position;
}

/// The item at an index; a negative index counts from the end. Nothing if the index is out of range.
std::optional<Value> item_at(Runtime& runtime, const Value& object, int64_t index) {
  const bool text = object.is(Type::string);
  const auto n = static_cast<int64_t>(text ? object.string().n_chars : object.sequence().items.size());
  if (index < 0) index += n;
  if (index < 0 || index >= n) return std::nullopt;
  if (!text) return object.sequence().items[static_cast<size_t>(index)];
  const size_t begin = char_offset(object.string(), index);
  const size_t end = begin + char_at(object.bytes(), begin).length;
  return runtime.make_string(object.text().slice(begin, end), object.string().markup);
}

std::optional<Value> find_attribute(Runtime& runtime, const Value& object, std::string_view name) {
  if (object.is(Type::undefined)) fail_undefined(runtime, object);
  if (object.is(Type::callable)) return object.callable().attribute(runtime, name);
  if (object.is(Type::name_space)) {
    if (const Value* entry = find_entry(runtime, object.dict(), name)) return *entry;
    return std::nullopt;
  }
  if (object.is(Type::sequence) && object.sequence().is_group) {
    if (name == "grouper") return object.sequence().items[0];
    if (name == "list") return object.sequence().items[1];
  }
  return find_method(runtime, object, name);
}

std::optional<Value> find_item(Runtime& runtime, const Value& object, const Value& key) {
  if (object.is(Type::undefined)) fail_undefined(runtime, object);
  if (object.is(Type::dict)) {
    if (const Value* entry = find_entry(runtime, object.dict(), key)) return *entry;
    return std::nullopt;
  }
  const bool indexed =
      object.is(Type::string) || (object.is(Type::sequence) && object.sequence().kind != Sequence::Kind::generator &&
                                  object.sequence().kind != Sequence::Kind::view);
  if (indexed && key.is_integral()) return item_at(runtime, object, key.as_integer());
  return std::nullopt;
}

}  // namespace

Value get_attribute(Runtime& runtime, const Value& object, std::string_view name) {
  runtime.work(sizeof(Value) + name.size());
  if (const auto found = find_attribute(runtime, object, name)) return *found;
  if (object.is(Type::dict)) {
    if (const Value* entry = find_entry(runtime, object.dict(), name)) return *entry;
  }
  return runtime.make_undefined(name);
}

Value get_item(Runtime& runtime, const Value& object, const Value& key) {
  runtime.charge({&key});
  if (const auto found = find_item(runtime, object, key)) return *found;
  if (!key.is(Type::string)) return runtime.make_undefined("an item that is not there");
  if (const auto found = find_attribute(runtime, object, key.bytes())) return *found;
  return runtime.make_undefined(key.bytes());
}

Value get_slice(Runtime& runtime, const Value& object, const Value& start, const Value& stop, const Value& step) {
  runtime.charge({&object});
  if (object.is(Type::undefined)) fail_undefined(runtime, object);
  const bool text = object.is(Type::string);
  const bool list = object.is(Type::sequence) && object.sequence().kind != Sequence::Kind::generator &&
                    object.sequence().kind != Sequence::Kind::view;
  for (const Value* part : {&start, &stop, &step}) {
    if (!part->is(Type::none) && !part->is_integral()) {
      runtime.fail("the ends of a slice are whole numbers, found " + type_name(*part));
    }
  }
  if (!text && !list) runtime.fail("a value of type " + type_name(object) + " cannot be sliced");
  const int64_t stride = step.is(Type::none) ? 1 : step.as_integer();
  if (stride == 0) runtime.fail("the step of a slice is zero");
  const auto n = static_cast<int64_t>(text ? object.string().n_chars : object.sequence().items.size());
  // Python's rule: negative bounds count from the end; then bounds are clamped to the indices reachable in this
  // direction.
  const int64_t low = stride > 0 ? 0 : -1;
  const int64_t high = stride > 0 ? n : n - 1;
  const auto clamp = [&](const Value& end, int64_t fallback) {
    if (end.is(Type::none)) return fallback;
    const int64_t i = end.as_integer();
    return std::clamp(i < 0 ? i + n : i, low, high);
  };
  const int64_t from = clamp(start, stride > 0 ? low : high);
  const int64_t to = clamp(stop, stride > 0 ? high : low);
  if (text && stride == 1) {
    const size_t begin = char_offset(object.string(), from);
    const size_t end = from < to ? char_offset(object.string(), to) : begin;
    return runtime.make_string(object.text().slice(begin, end), object.string().markup);
  }
  Vector<int64_t> picks;
  if (stride > 0) {
    for (int64_t i = from; i<to; i = stride> to - i ? to : i + stride) picks.push_back(i);
  } else {
    for (int64_t i = from; i > to; i = stride < to - i ? to : i + stride) picks.push_back(i);
  }
  if (!text) {
    Vector<Value> items;
    for (const int64_t i : picks) items.push_back(object.sequence().items[static_cast<size_t>(i)]);
    return runtime.make_sequence(object.sequence().kind, std::move(items));
  }
  Vector<size_t> offsets;
  const String& bytes = object.bytes();
  for (size_t i = 0; i < bytes.size(); i += char_at(bytes, i).length) offsets.push_back(i);
  offsets.push_back(bytes.size());
  Text result;
  for (const int64_t i : picks) {
    result.append(object.text(), offsets[static_cast<size_t>(i)], offsets[static_cast<size_t>(i) + 1]);
  }
  return runtime.make_string(std::move(result), object.string().markup);
}

}  // namespace headroom::jinja
