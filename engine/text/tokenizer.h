// Text ◄─► token ids by a model's own vocabulary, and each id's class for FastGen. This is the second step of the data
// path, after the chat template. Knows no files and no backends. A "closed" token is never matched in users' text.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/cancelled.h"
#include "engine/base/types.h"
#include "engine/base/vocab.h"

namespace headroom {

/// A part of a text with one writer.
struct TextPart {
  std::string_view text;
  bool from_template = false;  // true also for text of the program itself: closed tokens are matched in it
};

struct Encoding {
  std::vector<TokenId> ids;
  std::vector<size_t> ends;      // (ids) end of each token, in bytes of the text
  std::vector<size_t> left_out;  // positions of bytes that have no token in the vocabulary
};

/// Immutable after construction; every function may be called from several threads.
class Tokenizer {
 public:
  /// template_literals: the texts that the chat template itself can write. User-defined tokens in such texts are
  /// closed, except white space, single letters and digits. Throws Error(unsupported) for a vocabulary that would be
  /// tokenised wrongly (for example an unknown model or pre-tokeniser) and Error(bad_input) for an inconsistent one.
  explicit Tokenizer(Vocab vocab, const std::vector<std::string>& template_literals = {});
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// The vocabulary without scores and merges, which are kept in other tables.
  const Vocab& vocab() const;
  int32_t size() const;

  /// Ids of one text in several parts, without BOS or EOS. Closed tokens are matched only within the template's parts,
  /// user-defined tokens anywhere. The text between matches is merged as one text, whoever wrote it. Invalid UTF-8 is
  /// encoded byte for byte. A byte without a token is left out (byte-level vocabularies can lack bytes that are rare in
  /// valid text).
  /// first_piece: the text starts a sequence or follows a special token, so SentencePiece's space prefix applies.
  /// stop: is called throughout, except inside the SentencePiece library. Throws Cancelled.
  Encoding encode_parts(std::span<const TextPart> parts, bool first_piece = true, const StopQuestion& stop = {}) const;
  /// Ids of a text with one writer; see encode_parts.
  std::vector<TokenId> encode(std::string_view text, bool from_template = false, bool first_piece = true) const;

  /// Bytes of one token in a text; empty for control tokens unless render_control is set.
  std::string piece(TokenId id, bool render_control = false) const;
  /// Bytes of a sequence. decode(encode(x)) == x with the same first_piece, if no byte was left out.
  std::string decode(std::span<const TokenId> ids, bool render_control = false, bool first_piece = true) const;
  /// One step of decode: appends the token's bytes. If *first_piece is true, SentencePiece's space prefix is removed
  /// from this token. The call sets *first_piece for the next token.
  void decode_next(TokenId id, bool render_control, bool* first_piece, std::string* text) const;

  /// FastGen's class by the vocabulary alone; the caller handles position 0.
  TokenClass token_class(TokenId id) const;
  bool is_control(TokenId id) const;
  /// True if no user's text produces the token: control tokens, the template's scaffold, unusable entries.
  bool is_closed(TokenId id) const;
  /// True if text after this token begins with first_piece set.
  bool is_special(TokenId id) const;
  /// EOS, EOT, EOM and the control tokens that models are known to end a turn with.
  bool is_end_of_turn(TokenId id) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

/// Token ids ─► text in whole UTF-8 characters. Bytes of an unfinished character are held back until the next token.
/// Invalid bytes become U+FFFD at once.
class TextDecoder {
 public:
  /// first_piece: see Tokenizer::decode. The tokenizer must outlive the decoder.
  explicit TextDecoder(const Tokenizer& tokenizer, bool first_piece = false);
  /// The text that this token completes; empty for control tokens.
  std::string push(TokenId id);
  /// The rest at the end: U+FFFD if a character is unfinished, else empty.
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  std::string pending_;
  bool first_piece_;
};

}  // namespace headroom
