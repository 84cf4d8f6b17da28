// A vocabulary ─► bytes, role and FastGen class of each token. Built once when a Tokenizer is constructed, then read by
// its parts. Knows no merging.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/types.h"
#include "engine/base/vocab.h"
#include "engine/text/scaffold.h"

namespace headroom {

enum class TokenRole : uint8_t {
  ordinary,      // its bytes are text; merging produces it
  byte,          // one byte of text that no ordinary token covers
  user_defined,  // matched in any text, before merging
  scaffold,      // the template writes it between messages; matched only in the template's text
  control,       // matched only in the template's text; decodes to no text
  unknown,       // replaces text that cannot be encoded; matched and decoded like a control token
  unusable,      // never produced (an empty entry, or one that no text encodes to); decodes to its literal text
};

enum class VocabKind { byte_level_bpe, sentencepiece_bpe, sentencepiece_unigram };

class TokenTable {
 public:
  /// scaffold: from the template that is used with this vocabulary; may be null. Throws Error(unsupported) for an
  /// unknown tokenizer.ggml.model, Error(bad_input) for an inconsistent vocabulary.
  TokenTable(const Vocab& vocab, const TemplateScaffold* scaffold);

  VocabKind kind() const { return kind_; }
  int32_t size() const { return static_cast<int32_t>(roles_.size()); }
  TokenRole role(TokenId id) const { return roles_[static_cast<size_t>(id)]; }
  TokenClass token_class(TokenId id) const { return classes_[static_cast<size_t>(id)]; }
  bool ends_turn(TokenId id) const { return ends_turn_[static_cast<size_t>(id)] != 0; }
  /// Tokens typed as ordinary that look like scaffold and that the template writes. If the file has no token types,
  /// they are closed already. Otherwise the caller must close those that merging produces from text, since users could
  /// write them.
  const std::vector<TokenId>& tags() const { return tags_; }
  void close(TokenId id) { roles_[static_cast<size_t>(id)] = TokenRole::scaffold; }
  /// The token's bytes in a text: the byte alphabet of byte-level BPE is decoded, SentencePiece's U+2581 is a space.
  std::string_view bytes(TokenId id) const {
    const auto i = static_cast<size_t>(id);
    return std::string_view(bytes_).substr(ends_[i], ends_[i + 1] - ends_[i]);
  }

 private:
  TokenRole choose_role(const Vocab& vocab, size_t i) const;
  void close_scaffold(const Vocab& vocab, const TemplateScaffold& scaffold);
  void append_bytes(const std::string& token, size_t i);

  VocabKind kind_;
  std::string bytes_;
  std::vector<size_t> ends_;  // (size + 1): token i is bytes_[ends_[i], ends_[i + 1])
  std::vector<TokenRole> roles_;
  std::vector<TokenClass> classes_;
  std::vector<uint8_t> ends_turn_;
  std::vector<TokenId> tags_;
};

/// SentencePiece's symbol for a space, U+2581.
inline constexpr std::string_view space_symbol = "\xe2\x96\x81";

/// Decodes GPT-2's byte alphabet (one printable character per byte) and appends the bytes. Returns false and appends
/// nothing if the text has other characters.
bool append_from_byte_alphabet(std::string_view text, std::string* bytes);

/// True if the text without leading and trailing white space is not empty and all its characters have general category
/// P.
bool is_punctuation(std::string_view utf8);

}  // namespace headroom
