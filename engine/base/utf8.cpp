// Bytes ─► Unicode characters, by utf8proc with a fast path for ASCII. See utf8.h.
#include "engine/base/utf8.h"

#include <utf8proc.h>

namespace headroom {

Utf8Char utf8_char_at(std::string_view text, size_t at) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at;
  if (*bytes < 0x80) return {1, *bytes};
  const size_t left = text.size() - at;
  utf8proc_int32_t code_point = -1;
  const utf8proc_ssize_t n = utf8proc_iterate(bytes, left < 4 ? static_cast<utf8proc_ssize_t>(left) : 4, &code_point);
  if (n <= 0) return {};
  return {static_cast<size_t>(n), code_point};
}

bool is_space(int32_t code_point) {
  const utf8proc_category_t category = utf8proc_category(code_point);
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP ||
         (code_point >= 0x09 && code_point <= 0x0d) || (code_point >= 0x1c && code_point <= 0x1f) || code_point == 0x85;
}

bool is_control(int32_t c) {
  return (c >= 0 && c < 0x20) || (c >= 0x7f && c < 0xa0);
}

bool is_steering(int32_t c) {
  return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

size_t utf8_subpart_bytes(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const size_t left = text.size() - at;
  const unsigned char lead = byte(0);
  if (lead < 0xc2 || lead > 0xf4) return 0;
  // The second byte's range excludes overlong forms, surrogates and numbers above U+10FFFF (Unicode, table 3-7).
  const unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (left < 2 || lead < 0xe0 || byte(1) < low || byte(1) > high) return 1;
  if (left < 3 || lead < 0xf0 || (byte(2) & 0xc0) != 0x80) return 2;
  return 3;
}

}  // namespace headroom
