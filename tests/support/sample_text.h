// The words of a sample conversation, and a simple way to cut them into tokens: pieces of a kind that vocabularies
// have, without a vocabulary.
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

/// A word with the space in front of it, a run of white space, a punctuation mark, a character of three bytes, half a
/// character of four bytes (so that characters are split between tokens). The same text has the same id.
std::vector<SampleToken> cut_into_tokens(std::string_view text);

/// What a person asks; `number` picks one of a few.
std::string sample_question(uint64_t number);
/// A part of an answer that stands by itself in Markdown, with a blank line behind it: a heading, a paragraph, a list,
/// a table, a block of code, other scripts.
std::string sample_block(uint64_t number);

}  // namespace headroom::test
