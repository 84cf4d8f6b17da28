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

/// Immutable after construction; every call is safe from several threads.
class Tokenizer {
 public:
  /// Throws Error(unsupported) for a vocabulary that could be tokenised wrongly (unknown model or pre-tokeniser) and
  /// Error(bad_input) for one that contradicts itself.
  explicit Tokenizer(Vocab vocab);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// As given, without the scores and merges, which live on in tables of their own.
  const Vocab& vocab() const;
  int32_t size() const;

  /// Ids of a text, without BOS or EOS. User-defined tokens are matched in any text; control tokens only where
  /// allow_control (text that the program or a template wrote itself). Invalid UTF-8 goes through byte for byte.
  /// first_piece: the text starts a sequence or follows a control token, so that SentencePiece's space prefix applies.
  /// Throws Error(bad_input) for a byte that the vocabulary has no token for (byte-level vocabularies may lack a few
  /// that are seldom in valid text).
  std::vector<TokenId> encode(std::string_view text, bool allow_control = false, bool first_piece = true) const;

  /// Bytes of one token as it stands in a text; control tokens give nothing unless render_control.
  std::string piece(TokenId id, bool render_control = false) const;
  /// Bytes of a sequence. decode(encode(x)) == x, with the same first_piece.
  std::string decode(std::span<const TokenId> ids, bool render_control = false, bool first_piece = true) const;
  /// One step of decode: the token's bytes, appended. first_piece says whether SentencePiece's space prefix is to be
  /// taken off this token, and afterwards, whether off the next one.
  void decode_next(TokenId id, bool render_control, bool* first_piece, std::string* text) const;

  /// FastGen's class, from the vocabulary entry alone (position 0 is the caller's business).
  TokenClass token_class(TokenId id) const;
  bool is_control(TokenId id) const;
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
