// Text ─► token ids by the sentencepiece library (BPE and unigram). Runs after special_matcher on the text between
// special tokens. The library gets a model with only normal and byte pieces, so its own handling of special tokens,
// invalid UTF-8 and U+2581 is never used.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/base/types.h"
#include "engine/text/token_table.h"

namespace headroom {

class SentencePiece {
 public:
  /// scores: one per token. Throws Error(unsupported) if the vocabulary cannot encode every text, that is, if it lacks
  /// a space or one of the 256 bytes.
  SentencePiece(const TokenTable& table, const std::vector<float>& scores);
  SentencePiece(SentencePiece&&) noexcept;
  SentencePiece& operator=(SentencePiece&&) noexcept;
  ~SentencePiece();

  /// Appends the ids of a text without special tokens. space_prefix: adds a space before the text.
  void encode(std::string_view text, bool space_prefix, std::vector<TokenId>* ids) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace headroom
