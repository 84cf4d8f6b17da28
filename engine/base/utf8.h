// Bytes ─► Unicode characters, strictly: overlong forms, surrogates and numbers above U+10FFFF are not characters.
// The tokenizers use it, and everything that shows a stranger's text.
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

/// Like Python's str.isspace: the separators, and the control characters that separate lines, columns or records.
bool is_space(int32_t code_point);

bool is_control(int32_t code_point);

/// Characters that reorder or hide the text beside them: directions, joiners, separators of lines.
bool is_steering(int32_t code_point);

/// For a place without a whole character: how many bytes from text[at] on are the beginning of a valid character, 0
/// to 3. If they reach the end of the text, more bytes could complete the character. Otherwise all of them become one
/// U+FFFD (the "maximal subpart" of the Unicode standard, section 3.9).
size_t utf8_subpart_bytes(std::string_view text, size_t at);

}  // namespace headroom
