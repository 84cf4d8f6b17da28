// Bytes ─► Unicode characters, strictly: overlong forms, surrogates and numbers over U+10FFFF are not characters.
// Under every tokeniser of this folder; knows no vocabulary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace headroom {

/// The valid character that starts at text[at] (at < text.size()).
struct Utf8Char {
  size_t n_bytes = 0;  // 0: the byte at `at` starts no valid character
  int32_t code_point = -1;
};
Utf8Char utf8_char_at(std::string_view text, size_t at);

/// Python's str.isspace: the separators, and the controls that separate lines, columns or records.
bool is_space(int32_t code_point);

/// How many bytes from text[at] on are the beginning of some valid character, for a place where none is whole: 0 to 3.
/// Where they reach the end of the text, more bytes could still make one; elsewhere they stand for one U+FFFD together
/// (the "maximal subpart" of the Unicode standard, section 3.9).
size_t utf8_subpart_bytes(std::string_view text, size_t at);

}  // namespace headroom
