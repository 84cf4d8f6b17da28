// Text ─► words, by the regular expression that tokenizer.ggml.pre names. Byte-level BPE (bpe.h) then merges bytes only
// within words. Knows no vocabulary.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/base/cancelled.h"

namespace headroom {

class Pretokenizer {
 public:
  /// pre: the value of tokenizer.ggml.pre. Throws Error(unsupported) for an unknown or empty value, because another
  /// expression would silently produce wrong ids.
  explicit Pretokenizer(std::string_view pre);
  Pretokenizer(Pretokenizer&&) noexcept;
  Pretokenizer& operator=(Pretokenizer&&) noexcept;
  ~Pretokenizer();

  /// True if a word that is in the vocabulary becomes one token, whatever the merges say (Llama 3).
  bool whole_words_first() const;

  /// Appends the words in order; concatenated they are the text, byte for byte. A run of invalid UTF-8 is a separate
  /// word. Throws Cancelled.
  void split(std::string_view text, std::vector<std::string_view>* words, const StopQuestion& stop = {}) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace headroom
