// Text ─► words that byte-level BPE merges within, by the regular expression that tokenizer.ggml.pre names. Before
// bpe; knows no vocabulary.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

namespace headroom {

class Pretokenizer {
 public:
  /// pre: the value of tokenizer.ggml.pre. Throws Error(unsupported) for any but the known ones, the empty one
  /// included: with another expression the ids would be wrong without a sign.
  explicit Pretokenizer(std::string_view pre);
  Pretokenizer(Pretokenizer&&) noexcept;
  Pretokenizer& operator=(Pretokenizer&&) noexcept;
  ~Pretokenizer();

  /// A word that the vocabulary has is one token, whatever the merges say (Llama 3).
  bool whole_words_first() const;

  /// The words in order, appended; together they are the text, byte for byte. A stretch that is not valid UTF-8 is a
  /// word of its own.
  void split(std::string_view text, std::vector<std::string_view>* words) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace headroom
