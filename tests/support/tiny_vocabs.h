// Small vocabularies made by hand, for tests and fuzzers of the tokenizer. Header only, so that a fuzzer needs no other
// file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/vocab.h"

namespace headroom::test {

/// A byte in GPT-2's byte alphabet: printable Latin-1 as itself, the other 68 as U+0100, U+0101, …
inline std::string byte_letter(int byte) {
  const auto printable = [](int b) { return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xff && b != 0xad); };
  int code = byte;
  if (!printable(byte)) {
    code = 0x100;
    for (int b = 0; b < byte; ++b) code += printable(b) ? 0 : 1;
  }
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
}

inline std::string letters(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += byte_letter(static_cast<unsigned char>(c));
  return text;
}

inline TokenId add_token(Vocab* vocab, const std::string& text, TokenType type = TokenType::normal, float score = 0) {
  vocab->tokens.push_back(text);
  vocab->types.push_back(type);
  if (vocab->model != "gpt2") vocab->scores.push_back(score);
  return static_cast<TokenId>(vocab->tokens.size()) - 1;
}

/// Byte-level: ids 0 to 255 are the bytes.
inline Vocab byte_level_vocab(const std::string& pre = "gpt-2") {
  Vocab vocab;
  vocab.model = "gpt2";
  vocab.pre = pre;
  for (int byte = 0; byte < 256; ++byte) add_token(&vocab, byte_letter(byte));
  return vocab;
}

/// Adds the merge of two byte strings and, if it is new, the merged token. Returns that token's id.
inline TokenId add_merge(Vocab* vocab, std::string_view left, std::string_view right) {
  vocab->merges.push_back(letters(left) + " " + letters(right));
  const std::string token = letters(std::string(left) + std::string(right));
  for (size_t i = 0; i < vocab->tokens.size(); ++i) {
    if (vocab->tokens[i] == token) return static_cast<TokenId>(i);
  }
  return add_token(vocab, token);
}

/// SentencePiece: 0 <unk>, 1 <s>, 2 </s>, then the bytes at 3 to 258, then U+2581 alone.
inline constexpr TokenId spm_byte_0 = 3;
inline constexpr TokenId spm_space = 259;
inline Vocab spm_vocab(const std::string& model = "llama") {
  Vocab vocab;
  vocab.model = model;
  vocab.unknown_id = add_token(&vocab, "<unk>", TokenType::unknown);
  vocab.bos_id = add_token(&vocab, "<s>", TokenType::control);
  vocab.eos_id = add_token(&vocab, "</s>", TokenType::control);
  for (int byte = 0; byte < 256; ++byte) {
    constexpr char hex[] = "0123456789ABCDEF";
    add_token(&vocab, std::string("<0x") + hex[byte >> 4] + hex[byte & 15] + ">", TokenType::byte);
  }
  add_token(&vocab, "\xe2\x96\x81", TokenType::normal, -10);
  return vocab;
}

/// A byte-level vocabulary with every kind of token: some English, runs of spaces, control and user-defined tokens,
/// and merges whose result spells part of a control token.
inline Vocab chatty_byte_level_vocab(const std::string& pre) {
  Vocab vocab = byte_level_vocab(pre);
  const std::vector<std::pair<std::string, std::string>> merges = {
      {"h", "e"}, {"l", "l"},   {" ", " "},       {"he", "ll"}, {"hell", "o"}, {"\xc3", "\xa9"},     {"\n", "\n"},
      {"<", "|"}, {"|", ">"},   {"i", "m"},       {"e", "n"},   {"en", "d"},   {"\xe2", "\x82"},     {" ", "hello"},
      {"1", "2"}, {"  ", "  "}, {"\xff", "\xfe"}, {"'", "s"},   {"<|", "im"},  {"\xe2\x82", "\xac"}, {".", "."},
  };
  for (const auto& [left, right] : merges) add_merge(&vocab, left, right);
  vocab.bos_id = add_token(&vocab, "<|im_start|>", TokenType::control);
  vocab.eos_id = add_token(&vocab, "<|im_end|>", TokenType::control);
  add_token(&vocab, "<|im_end|>>", TokenType::control);
  add_token(&vocab, "<unk>", TokenType::unknown);
  add_token(&vocab, "<tool>", TokenType::user_defined);
  add_token(&vocab, "<tool><tool>", TokenType::user_defined);
  add_token(&vocab, "      ", TokenType::user_defined);
  add_token(&vocab, "", TokenType::unused);
  return vocab;
}

/// A SentencePiece vocabulary with every kind of token; model "llama" or "t5".
inline Vocab chatty_spm_vocab(const std::string& model) {
  Vocab vocab = spm_vocab(model);
  float score = -1;
  for (const char* piece : {"h",
                            "e",
                            "l",
                            "o",
                            "s",
                            "<",
                            ">",
                            "/",
                            "é",
                            "€",
                            "🙂",
                            "\t",
                            "he",
                            "ll",
                            "hell",
                            "hello",
                            "\u2581hello",
                            "\u2581\u2581",
                            "\u2581\u2581\u2581\u2581",
                            "</",
                            "s>",
                            "<s",
                            "\u2581<",
                            "0x",
                            "41>",
                            "<0",
                            "x41>",
                            "\ufffd"}) {
    add_token(&vocab, piece, TokenType::normal, score);
    score -= 0.25f;
  }
  vocab.eot_id = add_token(&vocab, "<end_of_turn>", TokenType::control);
  add_token(&vocab, "<b>", TokenType::user_defined);
  add_token(&vocab, "\n", TokenType::user_defined);
  add_token(&vocab, "\n\n", TokenType::user_defined);
  add_token(&vocab, "   ", TokenType::user_defined);
  add_token(&vocab, "<unused0>", TokenType::unused, score);
  return vocab;
}

}  // namespace headroom::test
