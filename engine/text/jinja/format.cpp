// Values ─► text by a pattern: "%s" % x, "{}".format(x), strftime. The pattern can be a user's text. Then its own
// characters keep their marks, and everything that its placeholders produce is marked too.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/ops.h"

namespace headroom::jinja {

namespace {

constexpr int64_t max_width = 1'000;
constexpr size_t work_per_digit = 8;

/// A format specification: the part between % or : and the type letter.
struct Spec {
  char fill = ' ';
  char align = 0;  // '<', '>', '^' or 0 (depends on the value's type)
  char sign = 0;
  bool grouped = false;
  int64_t width = 0;
  int64_t precision = -1;
  char type = 0;
};

bool is_ascii_digit(char c) {
  return c >= '0' && c <= '9';
}

int64_t read_number(Runtime& runtime, std::string_view pattern, size_t& i) {
  int64_t number = 0;
  for (; i < pattern.size() && is_ascii_digit(pattern[i]); ++i) {
    runtime.work(work_per_digit);
    number = number * 10 + (pattern[i] - '0');
    if (number > max_width) runtime.fail("a format asks for more than " + std::to_string(max_width) + " characters");
  }
  return number;
}

std::string number_text(Runtime& runtime, const Spec& spec, const Value& value) {
  const auto precision = static_cast<int>(spec.precision < 0 ? 6 : spec.precision);
  std::array<char, 1400> buffer;  // the largest double has 309 digits before its point
  if (!value.is_number()) runtime.fail("a number format found a value of type " + type_name(value));
  switch (spec.type) {
    case 'd':
    case 'i': {
      if (value.is_integral()) return std::to_string(value.as_integer());
      if (!(value.real > -9.2e18 && value.real < 9.2e18)) runtime.fail("a number is too large for the format");
      return std::to_string(static_cast<int64_t>(value.real));
    }
    case 'x':
    case 'X': {
      if (!value.is_integral()) runtime.fail("the format 'x' needs an integer");
      const int64_t n = value.as_integer();
      const uint64_t magnitude = n < 0 ? 0 - static_cast<uint64_t>(n) : static_cast<uint64_t>(n);
      std::snprintf(buffer.data(), buffer.size(), spec.type == 'x' ? "%llx" : "%llX",
                    static_cast<unsigned long long>(magnitude));
      return (n < 0 ? "-" : "") + std::string(buffer.data());
    }
    case 'f':
      std::snprintf(buffer.data(), buffer.size(), "%.*f", precision, value.as_real());
      break;
    case 'e':
      std::snprintf(buffer.data(), buffer.size(), "%.*e", precision, value.as_real());
      break;
    case 'g':
      std::snprintf(buffer.data(), buffer.size(), "%.*g", precision, value.as_real());
      break;
    default:
      runtime.fail_unsupported(std::string("the format type '") + spec.type + "'");
  }
  return buffer.data();
}

void group_thousands(std::string& digits) {
  size_t end = digits.find_first_not_of("+-0123456789");
  if (end == std::string::npos) end = digits.size();
  const size_t begin = digits.find_first_of("0123456789");
  for (size_t i = end; i > begin + 3; i -= 3) digits.insert(i - 3, ",");
}

/// Appends the value, formatted and padded by the spec. pattern_from_user: a user wrote the spec.
void append_formatted(Runtime& runtime, Text& out, const Spec& spec, const Value& value, bool pattern_from_user) {
  Text body;
  bool right = value.is_number();
  if (spec.type == 's' || spec.type == 0) {
    body = to_text(runtime, value);
    if (spec.precision >= 0) {
      const Value cut =
          get_slice(runtime, runtime.make_string(body), Value::none(), Value::of(spec.precision), Value::none());
      body = cut.text();
    }
  } else if (spec.type == 'r') {
    body = repr(runtime, value);
    right = false;
  } else {
    std::string digits = number_text(runtime, spec, value);
    if (spec.sign == '+' && digits[0] != '-') digits.insert(0, "+");
    if (spec.grouped) group_thousands(digits);
    body = Text(digits, value.from_user || pattern_from_user);
    right = true;
  }
  const auto length = static_cast<int64_t>(count_chars(body.bytes()));
  const int64_t padding = std::max<int64_t>(0, spec.width - length);
  const char align = spec.align != 0 ? spec.align : right ? '>' : '<';
  const int64_t left = align == '>' ? padding : align == '^' ? padding / 2 : 0;
  size_t sign_bytes = 0;
  if (spec.fill == '0' && align == '>' && body.size() > 0 && (body.bytes()[0] == '-' || body.bytes()[0] == '+')) {
    sign_bytes = 1;
  }
  out.append(body, 0, sign_bytes);
  out.append(std::string(static_cast<size_t>(left), spec.fill), pattern_from_user);
  out.append(body, sign_bytes, body.size());
  out.append(std::string(static_cast<size_t>(padding - left), spec.fill), pattern_from_user);
  runtime.work(sizeof(Value));
}

/// The values of a % pattern: a tuple's items in order, a dict's by name, or a single value.
class PercentValues {
 public:
  PercentValues(Runtime& runtime, const Value& values) : runtime_(runtime), values_(values) {
    is_tuple_ = values.is(Type::sequence) && values.sequence().kind == Sequence::Kind::tuple;
    n_ = is_tuple_ ? values.sequence().items.size() : 1;
  }
  Value next() {
    if (next_ >= n_) runtime_.fail("a % pattern needs more values than it was given");
    return is_tuple_ ? values_.sequence().items[next_++] : (++next_, values_);
  }
  Value named(std::string_view name) {
    if (!values_.is(Type::dict)) runtime_.fail("a % pattern with names needs a dict");
    const Value* entry = find_entry(runtime_, values_.dict(), name);
    if (entry == nullptr) runtime_.fail("a % pattern names a value that is not in the dict");
    next_ = n_;
    return *entry;
  }
  void finish() const {
    const bool may_be_left = values_.is(Type::dict) || (values_.is(Type::sequence) && !is_tuple_);  // Python's rule
    if (next_ < n_ && !may_be_left) runtime_.fail("a % pattern has fewer places than it was given values");
  }

 private:
  Runtime& runtime_;
  Value values_;
  bool is_tuple_ = false;
  size_t n_ = 0;
  size_t next_ = 0;
};

}  // namespace

Value format_percent(Runtime& runtime, const Value& pattern_value, const Value& values) {
  runtime.charge({&pattern_value, &values});
  const Text& text = pattern_value.text();
  const String& pattern = text.bytes();
  PercentValues source(runtime, values);
  Text out;
  for (size_t i = 0; i < pattern.size();) {
    const size_t start = i;
    const size_t percent = std::min(pattern.find('%', i), pattern.size());
    out.append(text, start, percent);
    if (percent == pattern.size()) break;
    i = percent + 1;
    Spec spec;
    std::optional<Value> named;
    if (i < pattern.size() && pattern[i] == '(') {
      const size_t close = pattern.find(')', i);
      if (close == std::string::npos) runtime.fail("a % pattern has '(' without ')'");
      runtime.work(close - i);
      named = source.named(std::string_view(pattern).substr(i + 1, close - i - 1));
      i = close + 1;
    }
    for (; i < pattern.size() && (pattern[i] == '-' || pattern[i] == '0' || pattern[i] == '+'); ++i) {
      if (pattern[i] == '-') spec.align = '<';
      if (pattern[i] == '0' && spec.align == 0) spec.fill = '0';
      if (pattern[i] == '+') spec.sign = '+';
    }
    spec.width = read_number(runtime, pattern, i);
    if (i < pattern.size() && pattern[i] == '.') spec.precision = read_number(runtime, pattern, ++i);
    if (i == pattern.size()) runtime.fail("a % pattern ends in the middle of a format");
    spec.type = pattern[i++];
    if (spec.type == '%') {
      out.append(text, i - 1, i);
      continue;
    }
    const bool number = spec.type != 's' && spec.type != 'r';
    if (spec.align == 0) spec.align = '>';
    if (!number || spec.align == '<') spec.fill = ' ';
    append_formatted(runtime, out, spec, named ? *named : source.next(), text.has_user(percent, i));
  }
  source.finish();
  return runtime.make_string(std::move(out), pattern_value.string().markup);
}

namespace {

Spec read_braces_spec(Runtime& runtime, std::string_view spec_text) {
  Spec spec;
  size_t i = 0;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^'; };
  if (spec_text.size() >= 2 && is_align(spec_text[1]) && static_cast<unsigned char>(spec_text[0]) < 0x80) {
    spec.fill = spec_text[0];
    spec.align = spec_text[1];
    i = 2;
  } else if (!spec_text.empty() && is_align(spec_text[0])) {
    spec.align = spec_text[i++];
  }
  if (i < spec_text.size() && spec_text[i] == '+') spec.sign = spec_text[i++];
  if (i < spec_text.size() && spec_text[i] == '0') {
    spec.fill = '0';
    ++i;
  }
  spec.width = read_number(runtime, spec_text, i);
  if (i < spec_text.size() && spec_text[i] == ',') {
    spec.grouped = true;
    ++i;
  }
  if (i < spec_text.size() && spec_text[i] == '.') spec.precision = read_number(runtime, spec_text, ++i);
  if (i < spec_text.size()) spec.type = spec_text[i++];
  if (i != spec_text.size()) runtime.fail_unsupported("the format '" + shown(spec_text) + "'");
  return spec;
}

Value braces_value(Runtime& runtime, const CallArgs& args, std::string_view name, size_t& next) {
  size_t index = next;
  if (name.empty()) {
    ++next;
  } else if (is_ascii_digit(name[0])) {
    size_t i = 0;
    index = static_cast<size_t>(read_number(runtime, name, i));
    if (i != name.size()) runtime.fail_unsupported("the format field '" + shown(name) + "'");
  } else {
    for (const auto& [key, value] : args.named) {
      if (key.bytes() == name) return value;
    }
    if (name.find_first_of(".[") != std::string::npos)
      runtime.fail_unsupported("the format field '" + shown(name) + "'");
    runtime.fail("format names a value '" + shown(name) + "' that it was not given");
  }
  if (index >= args.positional.size()) runtime.fail("format needs more values than it was given");
  return args.positional[index];
}

}  // namespace

Value format_braces(Runtime& runtime, const Value& pattern_value, const CallArgs& args) {
  const Text& text = pattern_value.text();
  const String& pattern = text.bytes();
  Text out;
  size_t next = 0;
  for (size_t i = 0; i < pattern.size();) {
    const size_t brace = std::min(pattern.find_first_of("{}", i), pattern.size());
    out.append(text, i, brace);
    if (brace == pattern.size()) break;
    i = brace + 1;
    if (i < pattern.size() && pattern[i] == pattern[brace]) {
      out.append(text, brace, brace + 1);
      ++i;
      continue;
    }
    const size_t close = pattern.find('}', i);
    if (pattern[brace] == '}' || close == std::string::npos)
      runtime.fail("a format has a brace without a matching one");
    std::string_view field = std::string_view(pattern).substr(i, close - i);
    i = close + 1;
    if (field.find('{') != std::string::npos) runtime.fail_unsupported("a format field within a format field");
    const size_t colon = field.find(':');
    Spec spec = read_braces_spec(runtime, colon == std::string::npos ? "" : field.substr(colon + 1));
    field = field.substr(0, colon);
    const size_t bang = field.find('!');
    const std::string_view conversion = bang == std::string::npos ? "" : field.substr(bang + 1);
    field = field.substr(0, bang);
    Value value = braces_value(runtime, args, field, next);
    if (conversion == "r") {
      value = runtime.make_string(repr(runtime, value));
    } else if (conversion == "s") {
      value = to_string(runtime, value);
    } else if (!conversion.empty()) {
      runtime.fail_unsupported("the format conversion '!" + shown(conversion) + "'");
    }
    if (spec.type == 0 && value.is(Type::real) && spec.precision >= 0) spec.type = 'g';
    if (spec.type == 0 && value.is(Type::integer)) spec.type = 'd';
    append_formatted(runtime, out, spec, value, text.has_user(brace, i));
  }
  return runtime.make_string(std::move(out), pattern_value.string().markup);
}

namespace {

constexpr std::array<const char*, 12> month_names = {"January",   "February", "March",    "April",
                                                     "May",       "June",     "July",     "August",
                                                     "September", "October",  "November", "December"};
constexpr std::array<const char*, 7> day_names = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                  "Thursday", "Friday", "Saturday"};

std::tm parse_date(Runtime& runtime, std::string_view date) {
  std::tm tm{};
  const std::string copy(date);
  char month[4] = {};
  int length = 0;
  const int fields = std::sscanf(copy.c_str(), "%2d %3s %4d%n", &tm.tm_mday, month, &tm.tm_year, &length);
  tm.tm_mon = -1;
  for (size_t i = 0; i < month_names.size(); ++i) {
    if (std::string_view(month_names[i]).substr(0, 3) == month) tm.tm_mon = static_cast<int>(i);
  }
  const std::chrono::year_month_day day{std::chrono::year{tm.tm_year},
                                        std::chrono::month{static_cast<unsigned>(tm.tm_mon + 1)},
                                        std::chrono::day{static_cast<unsigned>(tm.tm_mday)}};
  if (fields != 3 || static_cast<size_t>(length) != copy.size() || !day.ok()) {
    runtime.fail("the date is '" + copy + "', expected the form '26 Jul 2024'");
  }
  const std::chrono::sys_days since_epoch{day};
  tm.tm_wday = static_cast<int>(std::chrono::weekday{since_epoch}.c_encoding());
  tm.tm_yday = static_cast<int>((since_epoch - std::chrono::sys_days{day.year() / 1 / 1}).count());
  tm.tm_year -= 1900;
  return tm;
}

std::tm today() {
  const std::time_t now = std::time(nullptr);
  std::tm tm{};
  localtime_r(&now, &tm);
  return tm;
}

struct IsoWeek {
  int year, week;
};

/// ISO 8601: a week belongs to the year of its Thursday.
IsoWeek iso_week(const std::tm& tm) {
  const auto days_of = [](int year) { return std::chrono::year{year}.is_leap() ? 366 : 365; };
  int year = tm.tm_year + 1900;
  int thursday = tm.tm_yday - (tm.tm_wday + 6) % 7 + 3;
  if (thursday < 0) thursday += days_of(--year);
  if (thursday >= days_of(year)) thursday -= days_of(year++);
  return {year, thursday / 7 + 1};
}

std::string date_field(Runtime& runtime, const std::tm& tm, char letter, bool no_padding) {
  const auto number = [no_padding](int value, int width) {
    std::string digits = std::to_string(value);
    if (!no_padding && digits.size() < static_cast<size_t>(width))
      digits.insert(0, static_cast<size_t>(width) - digits.size(), '0');
    return digits;
  };
  const auto field = [&](char other) { return date_field(runtime, tm, other, false); };
  const std::string month = month_names[static_cast<size_t>(tm.tm_mon)];
  const std::string day = day_names[static_cast<size_t>(tm.tm_wday)];
  switch (letter) {
    case 'd':
      return number(tm.tm_mday, 2);
    case 'e':
      return (tm.tm_mday < 10 && !no_padding ? " " : "") + std::to_string(tm.tm_mday);
    case 'm':
      return number(tm.tm_mon + 1, 2);
    case 'b':
    case 'h':
      return month.substr(0, 3);
    case 'B':
      return month;
    case 'Y':
      return std::to_string(tm.tm_year + 1900);
    case 'y':
      return number(tm.tm_year % 100, 2);
    case 'a':
      return day.substr(0, 3);
    case 'A':
      return day;
    case 'j':
      return number(tm.tm_yday + 1, 3);
    case 'H':
      return number(tm.tm_hour, 2);
    case 'I':
      return number((tm.tm_hour + 11) % 12 + 1, 2);
    case 'M':
      return number(tm.tm_min, 2);
    case 'S':
      return number(tm.tm_sec, 2);
    case 'p':
      return tm.tm_hour < 12 ? "AM" : "PM";
    case 'u':
      return std::to_string((tm.tm_wday + 6) % 7 + 1);
    case 'w':
      return std::to_string(tm.tm_wday);
    case 'U':  // week number, weeks begin on Sunday
      return number((tm.tm_yday + 7 - tm.tm_wday) / 7, 2);
    case 'W':  // week number, weeks begin on Monday
      return number((tm.tm_yday + 7 - (tm.tm_wday + 6) % 7) / 7, 2);
    case 'V':
      return number(iso_week(tm).week, 2);
    case 'G':
      return std::to_string(iso_week(tm).year);
    case 'g':
      return number(iso_week(tm).year % 100, 2);
    case 'C':
      return number((tm.tm_year + 1900) / 100, 2);
    case 'k':
      return (tm.tm_hour < 10 && !no_padding ? " " : "") + std::to_string(tm.tm_hour);
    case 'l': {
      const int hour = (tm.tm_hour + 11) % 12 + 1;
      return (hour < 10 && !no_padding ? " " : "") + std::to_string(hour);
    }
    case 'P':
      return tm.tm_hour < 12 ? "am" : "pm";
    case 'f':  // Python's microseconds
      return "000000";
    case 'z':  // empty: the time has no zone, as in transformers
    case 'Z':
      return "";
    case 'n':
      return "\n";
    case 't':
      return "\t";
    case 'D':
    case 'x':
      return field('m') + "/" + field('d') + "/" + field('y');
    case 'X':
      return field('T');
    case 'R':
      return field('H') + ":" + field('M');
    case 'r':
      return field('I') + ":" + field('M') + ":" + field('S') + " " + field('p');
    case 'c':
      return field('a') + " " + field('b') + " " + field('e') + " " + field('T') + " " + field('Y');
    case 'F':
      return std::to_string(tm.tm_year + 1900) + "-" + number(tm.tm_mon + 1, 2) + "-" + number(tm.tm_mday, 2);
    case 'T':
      return number(tm.tm_hour, 2) + ":" + number(tm.tm_min, 2) + ":" + number(tm.tm_sec, 2);
    case '%':
      return "%";
    default:
      runtime.fail_unsupported(std::string("the date format '%") + letter + "'");
  }
}

}  // namespace

Value format_date(Runtime& runtime, std::string_view date, const Text& pattern) {
  const std::tm tm = date.empty() ? today() : parse_date(runtime, date);
  const String& bytes = pattern.bytes();
  Text out;
  for (size_t i = 0; i < bytes.size();) {
    const size_t percent = std::min(bytes.find('%', i), bytes.size());
    out.append(pattern, i, percent);
    i = percent + 1;
    if (percent == bytes.size()) break;
    const bool no_padding = i < bytes.size() && bytes[i] == '-';
    if (no_padding) ++i;
    if (i >= bytes.size()) runtime.fail("a date format ends in the middle of a field");
    out.append(date_field(runtime, tm, bytes[i], no_padding), pattern.has_user(percent, i + 1));
    ++i;
  }
  return runtime.make_string(std::move(out));
}

}  // namespace headroom::jinja
