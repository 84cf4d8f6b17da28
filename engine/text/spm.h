// Text ─► token ids by the sentencepiece library (BPE and unigram). After special_matcher. The library is given a
// model that it can only read as plain pieces and bytes, so what it would do with special tokens, broken UTF-8 or
// U+2581 never comes up.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/base/types.h"
#include "engine/text/token_table.h"

namespace headroom {

class SentencePiece {
 public:
  /// scores: one for each token. Throws Error(unsupported) for a vocabulary that cannot say every text (a space and
  /// all 256 bytes).
  SentencePiece(const TokenTable& table, const std::vector<float>& scores);
  SentencePiece(SentencePiece&&) noexcept;
  SentencePiece& operator=(SentencePiece&&) noexcept;
  ~SentencePiece();

  /// Appends the ids of a text without special tokens. space_prefix: as if a space stood before it.
  void encode(std::string_view text, bool space_prefix, std::vector<TokenId>* ids) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace headroom
