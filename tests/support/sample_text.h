// The text of a sample conversation, and a simple tokenizer without a vocabulary. Its tokens look like those of real
// vocabularies.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/types.h"

namespace headroom::test {

inline constexpr int32_t sample_vocab_size = 49152;
inline constexpr TokenId sample_turn_begin = 1;  // <|im_start|>
inline constexpr TokenId sample_turn_end = 2;    // <|im_end|>

struct SampleToken {
  TokenId id = 0;
  TokenClass token_class = TokenClass::plain;
  std::string text;
};

/// A token is a word with the space in front of it, a run of white space, a punctuation mark or a character of three
/// bytes. A character of four bytes becomes two tokens, so that some characters are split. Equal texts have equal ids.
std::vector<SampleToken> cut_into_tokens(std::string_view text);

/// A user's question; `number` picks one of a few.
std::string sample_question(uint64_t number);
/// An independent Markdown block of an answer, with a blank line behind it: a heading, a paragraph, a list, a table, a
/// block of code, other scripts.
std::string sample_block(uint64_t number);

}  // namespace headroom::test
