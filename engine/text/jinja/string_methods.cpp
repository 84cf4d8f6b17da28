// Python's string methods that pad, partition, or test every character, for templates. See builtins.h.
#include <algorithm>
#include <string>

#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/unicode.h"

namespace headroom::jinja {

Value make_string_like(Runtime& runtime, const Value& receiver, Text text) {
  return runtime.make_string(std::move(text), receiver.string().markup);
}

/// Adds padding on both sides. The fill can be a user's text; the padding then has the same mark.
Text padded(Runtime& runtime, const Text& text, const Text& fill, int64_t left, int64_t right) {
  const auto n_bytes =
      static_cast<size_t>(std::max<int64_t>(0, left)) + static_cast<size_t>(std::max<int64_t>(0, right));
  runtime.check_memory(n_bytes);
  Text out;
  out.reserve(text.size() + n_bytes * fill.size());
  out.append(repeated(fill, static_cast<size_t>(std::max<int64_t>(0, left))));
  out.append(text);
  out.append(repeated(fill, static_cast<size_t>(std::max<int64_t>(0, right))));
  return out;
}

Text centered(Runtime& runtime, const Value& value, int64_t width, const Text& fill) {
  const auto n_chars = static_cast<int64_t>(value.string().n_chars);
  if (width <= n_chars) return value.text();
  const int64_t padding = width - n_chars;
  const int64_t left = padding / 2 + (padding & width & 1);  // Python's rule for an odd number
  return padded(runtime, value.text(), fill, left, padding - left);
}

namespace {

enum class Place { left, right, middle };

template <Place place>
Value pad_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args,
                    place == Place::left    ? "ljust"
                    : place == Place::right ? "rjust"
                                            : "center",
                    {"width", "fillchar"}, 1);
  const int64_t width = bound.get_integer(0, 0);
  Text fill(" ", bound.get(0).from_user);
  if (bound.has(1)) {
    if (!bound.get(1).is(Type::string) || bound.get(1).string().n_chars != 1) {
      runtime.fail("the fill of ljust, rjust and center is one character");
    }
    fill = bound.get(1).text();
  }
  if (place == Place::middle) return make_string_like(runtime, self, centered(runtime, self, width, fill));
  const auto n_chars = static_cast<int64_t>(self.string().n_chars);
  if (width <= n_chars) return self;
  const int64_t padding = width - n_chars;
  return make_string_like(runtime, self,
                          place == Place::left ? padded(runtime, self.text(), fill, 0, padding)
                                               : padded(runtime, self.text(), fill, padding, 0));
}

/// zfill: inserts zeros between the sign and the digits.
Value zfill_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "zfill", {"width"}, 1);
  const int64_t width = bound.get_integer(0, 0);
  const auto n_chars = static_cast<int64_t>(self.string().n_chars);
  if (width <= n_chars) return self;
  const Text& text = self.text();
  const size_t sign = text.size() > 0 && (text.bytes()[0] == '-' || text.bytes()[0] == '+') ? 1 : 0;
  Text out = text.slice(0, sign);
  out.append(padded(runtime, text.slice(sign, text.size()), Text("0", bound.get(0).from_user), width - n_chars, 0));
  return make_string_like(runtime, self, std::move(out));
}

/// partition and rpartition. The middle part is cut from the receiver, so it keeps the receiver's marks.
template <bool from_right>
Value partition_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, from_right ? "rpartition" : "partition", {"sep"}, 1);
  const Text* separator = bound.get_text(0);
  if (separator == nullptr || separator->size() == 0) runtime.fail("partition takes a separator that is not empty");
  const Text& text = self.text();
  const size_t at =
      from_right ? find_text_from_right(text.bytes(), separator->bytes()) : find_text(text.bytes(), separator->bytes());
  const bool found = at != std::string::npos;
  const size_t begin = found ? at : from_right ? 0 : text.size();
  const size_t end = found ? at + separator->size() : begin;
  Vector<Value> parts;
  parts.push_back(make_string_like(runtime, self, text.slice(0, begin)));
  parts.push_back(make_string_like(runtime, self, text.slice(begin, end)));
  parts.push_back(make_string_like(runtime, self, text.slice(end, text.size())));
  return runtime.make_tuple(std::move(parts));
}

Value expandtabs_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "expandtabs", {"tabsize"});
  const int64_t tab_size = bound.get_integer(0, 8);
  if (tab_size > 1'000) runtime.fail("expandtabs got a size of more than 1000");
  const Text& text = self.text();
  Text out;
  int64_t column = 0;
  for (size_t i = 0; i < text.size();) {
    const Char c = char_at(text.bytes(), i);
    if (c.code == '\t') {
      const int64_t n_blanks = tab_size > 0 ? tab_size - column % tab_size : 0;
      out.append(std::string(static_cast<size_t>(n_blanks), ' '), text.has_user(i, i + 1));
      column += n_blanks;
    } else {
      out.append(text, i, i + c.length);
      column = c.code == '\n' || c.code == '\r' ? 0 : column + 1;
    }
    i += c.length;
  }
  return make_string_like(runtime, self, std::move(out));
}

/// isdigit and similar methods: true if the predicate holds for all characters. An empty string returns of_nothing.
template <bool (*predicate)(int32_t), bool of_nothing = false>
Value all_chars_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "isdigit", {});
  const String& bytes = self.bytes();
  for (size_t i = 0; i < bytes.size();) {
    const Char c = char_at(bytes, i);
    if (!predicate(c.code)) return Value::of(false);
    i += c.length;
  }
  return Value::of(of_nothing || !bytes.empty());
}

bool is_ascii_code(int32_t code) {
  return code >= 0 && code < 0x80;
}

bool is_printable_code(int32_t code) {
  return code >= 0 && is_printable(code);
}

Value isidentifier_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "isidentifier", {});
  const String& bytes = self.bytes();
  for (size_t i = 0; i < bytes.size();) {
    const Char c = char_at(bytes, i);
    if (i == 0 ? !begins_name(c.code) : !continues_name(c.code)) return Value::of(false);
    i += c.length;
  }
  return Value::of(!bytes.empty());
}

/// isupper and islower: at least one character has the wanted case, and none has another case.
template <bool (*wanted)(int32_t), bool (*other)(int32_t)>
Value all_cased_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "isupper", {});
  const String& bytes = self.bytes();
  bool found = false;
  for (size_t i = 0; i < bytes.size();) {
    const Char c = char_at(bytes, i);
    if (other(c.code) || is_title(c.code)) return Value::of(false);
    found = found || wanted(c.code);
    i += c.length;
  }
  return Value::of(found);
}

/// istitle: every word begins with a capital, and capitals are nowhere else.
Value istitle_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "istitle", {});
  const String& bytes = self.bytes();
  bool found = false;
  bool in_word = false;
  for (size_t i = 0; i < bytes.size();) {
    const Char c = char_at(bytes, i);
    const bool capital = is_upper(c.code) || is_title(c.code);
    const bool small = is_lower(c.code);
    if (capital ? in_word : small && !in_word) return Value::of(false);
    in_word = capital || small;
    found = found || in_word;
    i += c.length;
  }
  return Value::of(found);
}

}  // namespace

const FilterEntry more_string_methods[] = {
    {"center", pad_method<Place::middle>},
    {"ljust", pad_method<Place::left>},
    {"rjust", pad_method<Place::right>},
    {"zfill", zfill_method},
    {"partition", partition_method<false>},
    {"rpartition", partition_method<true>},
    {"expandtabs", expandtabs_method},
    {"isdigit", all_chars_method<is_digit>},
    {"isdecimal", all_chars_method<is_decimal>},
    {"isnumeric", all_chars_method<is_numeric>},
    {"isalpha", all_chars_method<is_letter>},
    {"isalnum", all_chars_method<is_alphanumeric>},
    {"isspace", all_chars_method<is_space>},
    {"isascii", all_chars_method<is_ascii_code, true>},
    {"isprintable", all_chars_method<is_printable_code, true>},
    {"isidentifier", isidentifier_method},
    {"isupper", all_cased_method<is_upper, is_lower>},
    {"islower", all_cased_method<is_lower, is_upper>},
    {"istitle", istitle_method},
    {"", nullptr},
};

}  // namespace headroom::jinja
