// A vocabulary ─► what each entry is to the text: its bytes, the part it may play in a text, its class for FastGen.
// Made once when a Tokenizer is constructed, then read by its parts; knows no merging.
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
  ordinary,      // its bytes are text; what merging produces
  byte,          // one byte of text that no ordinary token covers
  user_defined,  // matched in any text, before merging
  scaffold,      // the template writes it between messages; matched in the template's text only
  control,       // matched in the template's text only; invisible in a text
  unknown,       // stands for text that cannot be said; matched and shown like a control token
  unusable,      // never produced (an empty entry, or one that no text can mean); shown as it stands
};

enum class VocabKind { byte_level_bpe, sentencepiece_bpe, sentencepiece_unigram };

class TokenTable {
 public:
  /// scaffold: of the template that is used with the vocabulary, may be null. Throws Error(unsupported) for an unknown
  /// tokenizer.ggml.model, Error(bad_input) for a vocabulary that contradicts itself.
  TokenTable(const Vocab& vocab, const TemplateScaffold* scaffold);

  VocabKind kind() const { return kind_; }
  int32_t size() const { return static_cast<int32_t>(roles_.size()); }
  TokenRole role(TokenId id) const { return roles_[static_cast<size_t>(id)]; }
  TokenClass token_class(TokenId id) const { return classes_[static_cast<size_t>(id)]; }
  bool ends_turn(TokenId id) const { return ends_turn_[static_cast<size_t>(id)] != 0; }
  /// Ordinary tokens that look like scaffold and that the template writes. Those of a file without types are closed;
  /// others are to be where merging makes them out of a text, so that a user could write them too.
  const std::vector<TokenId>& tags() const { return tags_; }
  void close(TokenId id) { roles_[static_cast<size_t>(id)] = TokenRole::scaffold; }
  /// As they stand in a text: the byte alphabet of byte-level BPE undone, SentencePiece's U+2581 as a space.
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

/// SentencePiece's stand-in for a space, U+2581.
inline constexpr std::string_view space_symbol = "\xe2\x96\x81";

/// Text in GPT-2's byte alphabet (each byte a printable character) ─► the bytes, appended; false, with nothing
/// appended, for a text with other characters.
bool append_from_byte_alphabet(std::string_view text, std::string* bytes);

/// Not empty without its leading and trailing white space, and then only characters of general category P.
bool is_punctuation(std::string_view utf8);

}  // namespace headroom
