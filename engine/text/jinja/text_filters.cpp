// Filters on strings and numbers, and the lookup of all filters by name. See builtins.h.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <string>

#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/unicode.h"

namespace headroom::jinja {

namespace {

Value call_method(Runtime& runtime, const Value& value, std::string_view method, const CallArgs& args) {
  return get_attribute(runtime, to_string(runtime, value), method).callable().call(runtime, args);
}

Value filter_upper(Runtime& runtime, const Value& value, const CallArgs& args) {
  return call_method(runtime, value, "upper", args);
}

Value filter_lower(Runtime& runtime, const Value& value, const CallArgs& args) {
  return call_method(runtime, value, "lower", args);
}

Value filter_capitalize(Runtime& runtime, const Value& value, const CallArgs& args) {
  return call_method(runtime, value, "capitalize", args);
}

Value filter_title(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "title", {});
  return runtime.make_string(change_case(to_text(runtime, value), LetterCase::filter_title));
}

Value filter_trim(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "trim", {"chars"});
  return call_method(runtime, value, "strip", {{bound.get(0)}, {}});
}

Value filter_replace(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "replace", {"old", "new", "count"}, 2);
  const Value plain = runtime.make_string(to_text(runtime, value));
  return call_method(runtime, plain, "replace",
                     {{to_string(runtime, bound.get(0)), to_string(runtime, bound.get(1)), bound.get(2)}, {}});
}

Value filter_string(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "string", {});
  return to_string(runtime, value);
}

Value filter_safe(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "safe", {});
  return runtime.make_string(to_text(runtime, value), true);
}

Value filter_escape(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "escape", {});
  return runtime.make_string(escape(runtime, value), true);
}

/// A line end keeps the mark of its original text.
Value filter_indent(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "indent", {"width", "first", "blank"});
  const bool first = bound.get_flag(1, false);
  const bool blank = bound.get_flag(2, false);
  if (!value.is(Type::string)) runtime.fail("indent takes a string, found " + type_name(value));
  const Text& text = value.text();
  Text indent;
  if (bound.has(0) && bound.get(0).is(Type::string)) {
    indent = bound.get(0).text();
  } else {
    const int64_t width = bound.get_integer(0, 4);
    if (width > 1'000) runtime.fail("indent's width is more than 1000");
    indent = Text(std::string(static_cast<size_t>(std::max<int64_t>(0, width)), ' '), bound.get(0).from_user);
  }
  Text out;
  if (first) out.append(indent);
  Vector<Line> lines = split_lines(text.bytes());
  // Python appends a line end before it splits. So a text that is empty or ends with a line end has one more line.
  if (lines.empty() || lines.back().end != lines.back().next) lines.push_back({text.size(), text.size(), text.size()});
  for (size_t i = 0; i < lines.size(); ++i) {
    const Line& line = lines[i];
    if (i > 0) {
      out.append("\n", text.has_user(lines[i - 1].end, lines[i - 1].next));
      if (blank || line.begin != line.end) out.append(indent);
    }
    out.append(text, line.begin, line.end);
  }
  return runtime.make_string(std::move(out), value.string().markup);
}

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/// The text of a number, without surrounding white space, plus sign, and underscores between digits.
String trimmed(const Value& value) {
  const String bytes = strip(value.text(), Side::both, nullptr).bytes();
  String digits;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (static_cast<unsigned char>(bytes[i]) >= 0x80) {
      const Char c = char_at(bytes, i);
      if (c.code >= 0 && is_decimal(c.code)) {  // Python accepts the digits of every script
        digits.push_back(static_cast<char>('0' + decimal_value(c.code)));
        i += c.length - 1;
        continue;
      }
    }
    const bool inside = i > 0 && i + 1 < bytes.size();
    if (i == 0 && bytes[i] == '+') continue;
    if (bytes[i] == '_' && inside && is_hex(bytes[i - 1]) && is_hex(bytes[i + 1])) continue;
    digits.push_back(bytes[i]);
  }
  return digits;
}

std::optional<double> parse_real(const Value& value) {
  const String digits = trimmed(value);
  double number = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool whole = result.ptr == digits.data() + digits.size() && digits.find('(') == std::string::npos;
  if (digits.empty() || !whole || result.ec == std::errc::invalid_argument) return std::nullopt;
  if (result.ec == std::errc::result_out_of_range) {
    const bool tiny = digits.find("e-") != std::string::npos || digits.find("E-") != std::string::npos;
    number = tiny ? 0.0 : digits[0] == '-' ? -HUGE_VAL : HUGE_VAL;
  }
  return number;
}

std::optional<int64_t> parse_integer(Runtime& runtime, const Value& value, int base) {
  String digits = trimmed(value);
  const size_t sign = !digits.empty() && digits[0] == '-' ? 1 : 0;
  const auto has_prefix = [&](char letter) {
    return digits.size() > sign + 2 && digits[sign] == '0' && (digits[sign + 1] | 0x20) == letter;
  };
  if ((base == 16 && has_prefix('x')) || (base == 8 && has_prefix('o')) || (base == 2 && has_prefix('b'))) {
    digits.erase(sign, 2);
  }
  int64_t number = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
  if (digits.empty() || result.ptr != digits.data() + digits.size()) return std::nullopt;
  if (result.ec == std::errc::result_out_of_range) runtime.fail("a number does not fit into a 64-bit integer");
  if (result.ec != std::errc()) return std::nullopt;
  return number;
}

bool from_user(const Value& value) {
  return value.is(Type::string) ? value.text().has_user() : value.is_number() && value.from_user;
}

Value filter_int(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "int", {"default", "base"});
  const int64_t base = bound.get_integer(1, 10);
  if (base < 2 || base > 36) runtime.fail("int's base is not between 2 and 36");
  const Value fallback = bound.has(0) ? bound.get(0) : Value::of(int64_t{0});
  if (value.is(Type::undefined)) return arithmetic(runtime, Arithmetic::add, value, fallback);  // fails by name
  double number = 0;
  if (value.is_integral()) return Value::of(value.as_integer(), value.from_user);
  if (value.is(Type::real)) {
    number = value.real;
  } else if (value.is(Type::string)) {
    if (const auto integer = parse_integer(runtime, value, static_cast<int>(base))) {
      return Value::of(*integer, from_user(value));
    }
    const auto real = parse_real(value);
    if (!real) return fallback;
    number = *real;
  } else {
    return fallback;
  }
  if (!std::isfinite(number)) return fallback;
  if (!(number > -9.2e18 && number < 9.2e18)) runtime.fail("a number does not fit into a 64-bit integer");
  return Value::of(static_cast<int64_t>(number), from_user(value));
}

Value filter_float(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "float", {"default"});
  const Value fallback = bound.has(0) ? bound.get(0) : Value::of(0.0);
  if (value.is(Type::undefined)) return arithmetic(runtime, Arithmetic::add, value, fallback);  // fails by name
  if (value.is_number()) return Value::of(value.as_real(), value.from_user);
  if (!value.is(Type::string)) return fallback;
  const auto number = parse_real(value);
  return number ? Value::of(*number, from_user(value)) : fallback;
}

Value filter_abs(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "abs", {});
  if (!value.is_number()) runtime.fail("abs takes a number, found " + type_name(value));
  const bool negative = value.is(Type::real) ? value.real < 0 : value.as_integer() < 0;
  if (negative) return negate(runtime, value);
  return value.is(Type::boolean) ? Value::of(value.as_integer(), value.from_user) : value;
}

Value filter_round(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "round", {"precision", "method"});
  if (!value.is_number()) runtime.fail("round takes a number, found " + type_name(value));
  const int64_t precision = bound.get_integer(0, 0);
  if (precision < 0 || precision > 300) runtime.fail_unsupported("a precision of round below 0 or over 300");
  const Text* method = bound.get_text(1);
  if (method == nullptr || method->bytes() == "common") {
    if (value.is_integral()) return Value::of(value.as_integer(), value.from_user);
    if (!std::isfinite(value.real)) return value;
    char buffer[1024];
    std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(precision), value.real);
    double rounded = 0;
    std::from_chars(buffer, buffer + std::char_traits<char>::length(buffer), rounded);
    return Value::of(rounded, value.from_user);
  }
  if (method->bytes() != "ceil" && method->bytes() != "floor") {
    runtime.fail("round's method is common, ceil or floor, found '" + shown(method->bytes()) + "'");
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = value.as_real() * scale;
  return Value::of((method->bytes() == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale, value.from_user);
}

Value filter_format(Runtime& runtime, const Value& value, const CallArgs& args) {
  if (args.named.empty())
    return format_percent(runtime, to_string(runtime, value), runtime.make_tuple(args.positional));
  if (!args.positional.empty()) runtime.fail("format takes values with names or without, not both");
  Dict* dict = runtime.make<Dict>();
  for (const auto& [key, entry] : args.named) set_entry(runtime, *dict, key, entry);
  return format_percent(runtime, to_string(runtime, value), Value(dict));
}

const FilterEntry* find_filter(std::string_view name) {
  for (const FilterEntry* table : {text_filters, page_filters, sequence_filters}) {
    for (; !table->name.empty(); ++table) {
      if (table->name == name) return table;
    }
  }
  return nullptr;
}

}  // namespace

const FilterEntry text_filters[] = {
    {"upper", filter_upper},   {"lower", filter_lower},   {"capitalize", filter_capitalize},
    {"title", filter_title},   {"trim", filter_trim},     {"replace", filter_replace},
    {"string", filter_string}, {"safe", filter_safe},     {"escape", filter_escape},
    {"e", filter_escape},      {"indent", filter_indent}, {"int", filter_int},
    {"float", filter_float},   {"abs", filter_abs},       {"round", filter_round},
    {"format", filter_format}, {"tojson", filter_tojson}, {"", nullptr},
};

bool has_filter(std::string_view name) {
  return find_filter(name) != nullptr;
}

Value apply_filter(Runtime& runtime, std::string_view name, const Value& value, const CallArgs& args) {
  runtime.step();
  const Nesting nesting(runtime);  // the filter map can apply map
  const FilterEntry* filter = find_filter(name);
  if (filter == nullptr) runtime.fail_unsupported("the filter '" + std::string(name.substr(0, 100)) + "'");
  runtime.charge_call(value, args);
  return filter->function(runtime, value, args);
}

}  // namespace headroom::jinja
