// A prompt's ids by definition. Special tokens cut the text, the longest first; closed ones are found only in text that
// the template wrote. The text between two of them is tokenised as one. Slow and plain, for tests and fuzzers of
// Tokenizer::encode_parts.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/tokenizer.h"

namespace headroom::test {

/// A token whose text is searched for in a prompt.
struct PlainSpecial {
  std::string text;
  TokenId id;
  bool closed;  // found only in text that the template wrote
};

/// The special tokens of a byte-level or SentencePiece vocabulary, for files in which the type alone marks them.
/// `closed` lists the tokens of type user_defined that the template writes.
inline std::vector<PlainSpecial> plain_specials(const Vocab& vocab, const std::vector<std::string>& closed) {
  std::vector<PlainSpecial> specials;
  for (size_t i = 0; i < vocab.tokens.size(); ++i) {
    const TokenType type = vocab.types[i];
    const bool user_defined = type == TokenType::user_defined;
    if (vocab.tokens[i].empty() || (!user_defined && type != TokenType::control && type != TokenType::unknown))
      continue;
    const bool is_closed = !user_defined || std::find(closed.begin(), closed.end(), vocab.tokens[i]) != closed.end();
    specials.push_back({vocab.tokens[i], static_cast<TokenId>(i), is_closed});
  }
  std::stable_sort(specials.begin(), specials.end(),
                   [](const auto& a, const auto& b) { return a.text.size() > b.text.size(); });
  return specials;
}

/// Encodes like llama.cpp: each special token in turn splits the remaining pieces of text.
inline std::vector<TokenId> plain_encode(const Tokenizer& tokenizer, const std::vector<PlainSpecial>& specials,
                                         const std::vector<TextPart>& parts, bool first_piece = true) {
  std::string text;
  std::string writers;  // by byte: 't' the template, 'u' a user
  for (const TextPart& part : parts) {
    text += part.text;
    writers.append(part.text.size(), part.from_template ? 't' : 'u');
  }
  struct Piece {
    size_t begin, end;
    TokenId id;  // -1: text
  };
  std::vector<Piece> pieces{{0, text.size(), -1}};
  for (const PlainSpecial& special : specials) {
    std::vector<Piece> next;
    for (const Piece& piece : pieces) {
      size_t begin = piece.begin;
      for (size_t at = piece.begin; piece.id < 0 && at + special.text.size() <= piece.end;) {
        const size_t end = at + special.text.size();
        const bool in_template = writers.find('u', at) >= end;
        if (text.compare(at, special.text.size(), special.text) != 0 || (special.closed && !in_template)) {
          ++at;
          continue;
        }
        if (at > begin) next.push_back({begin, at, -1});
        next.push_back({at, end, special.id});
        begin = at = end;
      }
      if (piece.id >= 0 || begin < piece.end) next.push_back({begin, piece.end, piece.id});
    }
    pieces = next;
  }
  std::vector<TokenId> ids;
  for (const Piece& piece : pieces) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
    } else {
      const auto more =
          tokenizer.encode(std::string_view(text).substr(piece.begin, piece.end - piece.begin), false, first_piece);
      ids.insert(ids.end(), more.begin(), more.end());
    }
    first_piece = piece.id >= 0;
  }
  return ids;
}

}  // namespace headroom::test
