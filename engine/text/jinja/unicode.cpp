// Python's character classes and case mappings. See unicode.h.
#include "engine/text/jinja/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>

#include "engine/text/jinja/text.h"
#include "engine/text/jinja/unicode_tables.h"

namespace headroom::jinja {

namespace {

template <size_t n>
bool is_in(const CodeRange (&ranges)[n], int32_t code) {
  const auto* range =
      std::partition_point(std::begin(ranges), std::end(ranges), [code](const CodeRange& r) { return r.last < code; });
  return range != std::end(ranges) && range->first <= code;
}

const SpecialCase* find_special(int32_t code) {
  const auto* found = std::partition_point(std::begin(special_cases), std::end(special_cases),
                                           [code](const SpecialCase& s) { return s.code < code; });
  return found != std::end(special_cases) && found->code == code ? found : nullptr;
}

void append_all(String& out, const int32_t (&codes)[3]) {
  for (const int32_t code : codes) {
    if (code != 0) append_utf8(out, code);
  }
}

}  // namespace

bool is_space(int32_t code) {
  if (code < 0x80) return (code >= 9 && code <= 13) || (code >= 28 && code <= 32);
  return code == 0x85 || utf8proc_category(code) == UTF8PROC_CATEGORY_ZS || code == 0x2028 || code == 0x2029;
}

bool is_letter(int32_t code) {
  const auto category = utf8proc_category(code);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal(int32_t code) {
  return utf8proc_category(code) == UTF8PROC_CATEGORY_ND;
}

bool is_digit(int32_t code) {
  return is_decimal(code) || is_in(other_digits, code);
}

bool is_numeric(int32_t code) {
  return is_digit(code) || is_in(other_numerics, code);
}

bool is_upper(int32_t code) {
  return utf8proc_category(code) == UTF8PROC_CATEGORY_LU || is_in(other_uppercase, code);
}

bool is_lower(int32_t code) {
  return utf8proc_category(code) == UTF8PROC_CATEGORY_LL || is_in(other_lowercase, code);
}

bool is_title(int32_t code) {
  return utf8proc_category(code) == UTF8PROC_CATEGORY_LT;
}

bool is_alphanumeric(int32_t code) {
  return is_letter(code) || is_numeric(code);
}

bool is_printable(int32_t code) {
  if (code == ' ') return true;
  const auto category = utf8proc_category(code);
  const bool other = category >= UTF8PROC_CATEGORY_CC && category <= UTF8PROC_CATEGORY_CO;
  const bool separator = category >= UTF8PROC_CATEGORY_ZS && category <= UTF8PROC_CATEGORY_ZP;
  return !other && !separator && category != UTF8PROC_CATEGORY_CN;
}

bool begins_name(int32_t code) {
  return code == '_' || is_letter(code) || utf8proc_category(code) == UTF8PROC_CATEGORY_NL;
}

bool continues_name(int32_t code) {
  const auto category = utf8proc_category(code);
  return begins_name(code) || category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_PC ||
         category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC;
}

int decimal_value(int32_t code) {
  // Decimal digits come in runs of ten, each from zero to nine; at most five runs are adjacent.
  int32_t first = code;
  while (first > code - 49 && is_decimal(first - 1)) --first;
  return static_cast<int>((code - first) % 10);
}

bool is_cased(int32_t code) {
  return is_upper(code) || is_lower(code) || is_title(code);
}

bool is_case_ignorable(int32_t code) {
  // Unicode, definition D136: marks, format characters, modifiers, and characters that join the parts of a word.
  switch (code) {
    case '\'':
    case '.':
    case ':':
    case 0xb7:
    case 0x387:
    case 0x55f:
    case 0x5f4:
    case 0x2018:
    case 0x2019:
    case 0x2024:
    case 0x2027:
    case 0xfe13:
    case 0xfe52:
    case 0xfe55:
    case 0xff07:
    case 0xff0e:
    case 0xff1a:
      return true;
    default:
      break;
  }
  const auto category = utf8proc_category(code);
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME || category == UTF8PROC_CATEGORY_CF ||
         category == UTF8PROC_CATEGORY_LM || category == UTF8PROC_CATEGORY_SK;
}

void append_upper(String& out, int32_t code) {
  if (const SpecialCase* special = find_special(code)) return append_all(out, special->upper);
  append_utf8(out, utf8proc_toupper(code));
}

void append_title(String& out, int32_t code) {
  if (const SpecialCase* special = find_special(code)) return append_all(out, special->title);
  append_utf8(out, utf8proc_totitle(code));
}

void append_lower(String& out, int32_t code) {
  if (code == 0x130) {  // the only character with two in lower case: i and a combining dot above
    out.append("i\xcc\x87");
  } else {
    append_utf8(out, utf8proc_tolower(code));
  }
}

void append_folded(String& out, int32_t code) {
  utf8proc_int32_t folded[8];
  int last_boundclass = 0;
  const auto n = utf8proc_decompose_char(code, folded, 8, UTF8PROC_CASEFOLD, &last_boundclass);
  if (n < 1 || n > 8) return append_utf8(out, code);
  for (utf8proc_ssize_t i = 0; i < n; ++i) append_utf8(out, folded[i]);
}

}  // namespace headroom::jinja
