// Text ◄─► token ids by a model's own vocabulary, and each id's class for FastGen. Second step of the data path; knows
// no files and no backends.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/types.h"
#include "engine/base/vocab.h"

namespace headroom {

/// A stretch of a text with one writer.
struct TextPart {
  std::string_view text;
  bool from_template = false;  // or from the program: closed tokens are matched in it
};

struct Encoding {
  std::vector<TokenId> ids;
  std::vector<size_t> ends;      // (ids) where each token ends, in bytes of the text
  std::vector<size_t> left_out;  // places of bytes that the vocabulary has no token for
};

/// Immutable after construction; every call is safe from several threads.
class Tokenizer {
 public:
  /// template_literals: the texts that the chat template can write by itself. What they make of user-defined tokens is
  /// closed to users, but for white space. Throws Error(unsupported) for a vocabulary that could be tokenised wrongly
  /// (unknown model or pre-tokeniser) and Error(bad_input) for one that contradicts itself.
  explicit Tokenizer(Vocab vocab, const std::vector<std::string>& template_literals = {});
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// As given, without the scores and merges, which live on in tables of their own.
  const Vocab& vocab() const;
  int32_t size() const;

  /// Ids of one text in several stretches, without BOS or EOS. Closed tokens are matched within a stretch of the
  /// template's, user-defined ones anywhere; what lies between is one text, whoever wrote it. Invalid UTF-8 goes
  /// through byte for byte. A byte that the vocabulary has no token for is left out (byte-level vocabularies may lack a
  /// few that are seldom in valid text).
  /// first_piece: the text starts a sequence or follows a special token, so that SentencePiece's space prefix applies.
  Encoding encode_parts(std::span<const TextPart> parts, bool first_piece = true) const;
  /// The same for a text of one writer.
  std::vector<TokenId> encode(std::string_view text, bool from_template = false, bool first_piece = true) const;

  /// Bytes of one token as it stands in a text; control tokens give nothing unless render_control.
  std::string piece(TokenId id, bool render_control = false) const;
  /// Bytes of a sequence. decode(encode(x)) == x, with the same first_piece, where no byte was left out.
  std::string decode(std::span<const TokenId> ids, bool render_control = false, bool first_piece = true) const;
  /// One step of decode: the token's bytes, appended. first_piece says whether SentencePiece's space prefix is to be
  /// taken off this token, and afterwards, whether off the next one.
  void decode_next(TokenId id, bool render_control, bool* first_piece, std::string* text) const;

  /// FastGen's class, from the vocabulary entry alone (position 0 is the caller's business).
  TokenClass token_class(TokenId id) const;
  bool is_control(TokenId id) const;
  /// No user's text gives it: control tokens, the template's scaffold, entries that no text can mean.
  bool is_closed(TokenId id) const;
  /// A text that follows it begins with a first piece.
  bool is_special(TokenId id) const;
  /// EOS, EOT, EOM and the control tokens that models are known to end a turn with.
  bool is_end_of_turn(TokenId id) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

/// Token ids ─► text in whole UTF-8 characters: bytes of an unfinished character wait for the next token.
/// Bytes that can be no character come out as U+FFFD at once.
class StreamDecoder {
 public:
  /// first_piece: as for Tokenizer::decode. The tokenizer must outlive the decoder.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool first_piece = false);
  /// Text that is complete with this token. Control tokens give none.
  std::string push(TokenId id);
  /// What is left at the end; an unfinished character as U+FFFD.
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  std::string pending_;
  bool first_piece_;
};

}  // namespace headroom
