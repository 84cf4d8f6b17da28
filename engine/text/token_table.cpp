// A vocabulary ─► roles, bytes and classes of its tokens. See token_table.h.
#include "engine/text/token_table.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

namespace headroom {
namespace {

// Tokens that models are known to end a turn or a file with. Generation stops at them, so they are control tokens even
// if the file gives them another type. Not every template writes the end token that its model generates.
constexpr std::string_view turn_ends[] = {
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_utterance>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<eos>",
    "</s>",
    "<｜end▁of▁sentence｜>",
    "<|END_OF_TURN_TOKEN|>",
    "<turn|>",
    "<|fim_pad|>",
    "<fim_pad>",
    "<fim-pad>",
    "<|repo_name|>",
    "<|fim_repo|>",
    "<reponame>",
    "<|file_sep|>",
};
// Tokens that code models use for fill-in-the-middle. No chat template writes them, and in a user's text they are code.
constexpr std::string_view other_controls[] = {
    "<|fim_prefix|>", "<fim_prefix>",   "<fim-prefix>", "<|fim_middle|>", "<fim_middle>",
    "<fim-middle>",   "<|fim_suffix|>", "<fim_suffix>", "<fim-suffix>",
};
constexpr std::string_view html[] = {"</s>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]"};

template <size_t n>
bool contains(const std::string_view (&list)[n], std::string_view text) {
  return std::find(std::begin(list), std::end(list), text) != std::end(list);
}

bool looks_like_a_tag(std::string_view text) {
  return text.size() > 2 && (text.front() == '<' || text.front() == '[') && (text.back() == '>' || text.back() == ']');
}

// "<|user|>", "[INST]"; not "[...]" or "<->".
bool is_a_tag_with_a_name(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return looks_like_a_tag(text) && std::any_of(text.begin(), text.end(), is_letter);
}

bool is_named(const Vocab& vocab, TokenId id) {
  return id == vocab.bos_id || id == vocab.eos_id || id == vocab.eot_id || id == vocab.eom_id;
}

bool is_white_space(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_char_at(text, at);
    if (c.n_bytes == 0 || !is_space(c.code_point)) return false;
    at += c.n_bytes;
  }
  return true;
}

// GPT-2's byte alphabet: code point ─► byte. A byte that is printable in Latin-1 is its own code point; the others have
// 256 and up.
std::array<int16_t, 324> byte_alphabet() {
  std::array<int16_t, 324> byte_of{};
  byte_of.fill(-1);
  int next = 256;
  for (int b = 0; b < 256; ++b) {
    const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    byte_of[static_cast<size_t>(printable ? b : next++)] = static_cast<int16_t>(b);
  }
  return byte_of;
}

// "<0x0A>" ─► 10; -1 for anything else.
int parse_byte_token(std::string_view text) {
  if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return -1;
  int value = 0;
  for (const char c : text.substr(3, 2)) {
    if (c >= '0' && c <= '9') {
      value = value * 16 + (c - '0');
    } else if (c >= 'A' && c <= 'F') {
      value = value * 16 + (c - 'A' + 10);
    } else {
      return -1;
    }
  }
  return value;
}

std::string quoted(std::string_view text) {
  return "'" + std::string(text.substr(0, 40)) + "'";
}

VocabKind vocab_kind(const Vocab& vocab) {
  if (vocab.model == "gpt2") return VocabKind::byte_level_bpe;
  if (vocab.model == "llama") return VocabKind::sentencepiece_bpe;
  if (vocab.model == "t5") return VocabKind::sentencepiece_unigram;
  throw Error(ErrorKind::unsupported,
              "tokenizer.ggml.model is " + quoted(vocab.model) + "; gpt2, llama and t5 are supported");
}

void check_id(const char* name, TokenId id, size_t n) {
  if (id < -1 || id >= static_cast<int64_t>(n)) {
    throw Error("tokenizer.ggml." + std::string(name) + "_token_id is " + std::to_string(id) + "; the vocabulary has " +
                std::to_string(n) + " tokens");
  }
}

void check(const Vocab& vocab, VocabKind kind) {
  const size_t n = vocab.tokens.size();
  if (n == 0) throw Error("tokenizer.ggml.tokens is empty; a vocabulary has at least one token");
  if (vocab.types.size() != n) {
    throw Error("tokenizer.ggml.token_type has " + std::to_string(vocab.types.size()) + " entries; expected " +
                std::to_string(n) + ", one for each token");
  }
  if (kind != VocabKind::byte_level_bpe) {
    if (vocab.scores.size() != n) {
      throw Error("tokenizer.ggml.scores has " + std::to_string(vocab.scores.size()) + " entries; expected " +
                  std::to_string(n) + ", one for each token");
    }
    const auto bad = std::find_if(vocab.scores.begin(), vocab.scores.end(), [](float s) { return !std::isfinite(s); });
    if (bad != vocab.scores.end()) {
      throw Error("the score of token " + std::to_string(bad - vocab.scores.begin()) + " is not a finite number");
    }
  }
  check_id("bos", vocab.bos_id, n);
  check_id("eos", vocab.eos_id, n);
  check_id("eot", vocab.eot_id, n);
  check_id("eom", vocab.eom_id, n);
  check_id("unknown", vocab.unknown_id, n);
  check_id("padding", vocab.padding_id, n);
  std::unordered_set<std::string_view> seen(2 * n);
  for (size_t i = 0; i < n; ++i) {
    if (!vocab.tokens[i].empty() && !seen.insert(vocab.tokens[i]).second) {
      throw Error("token " + std::to_string(i) + " is " + quoted(vocab.tokens[i]) +
                  ", which is also the text of an earlier token");
    }
  }
}

}  // namespace

bool append_from_byte_alphabet(std::string_view text, std::string* bytes) {
  static const std::array<int16_t, 324> byte_of = byte_alphabet();
  const size_t old_size = bytes->size();
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_char_at(text, at);
    const auto code = static_cast<size_t>(c.code_point);
    if (c.n_bytes == 0 || code >= byte_of.size() || byte_of[code] < 0) {
      bytes->resize(old_size);
      return false;
    }
    bytes->push_back(static_cast<char>(byte_of[code]));
    at += c.n_bytes;
  }
  return true;
}

bool is_punctuation(std::string_view utf8) {
  bool any = false;
  bool space_after = false;  // white space has followed a character; any other character after it means false
  for (size_t at = 0; at < utf8.size();) {
    const Utf8Char c = utf8_char_at(utf8, at);
    if (c.n_bytes == 0) return false;
    at += c.n_bytes;
    const utf8proc_category_t category = utf8proc_category(c.code_point);
    if (is_space(c.code_point)) {
      space_after = any;
    } else if (space_after || category < UTF8PROC_CATEGORY_PC || category > UTF8PROC_CATEGORY_PO) {
      return false;
    } else {
      any = true;
    }
  }
  return any;
}

TokenTable::TokenTable(const Vocab& vocab, const TemplateScaffold* scaffold) : kind_(vocab_kind(vocab)) {
  check(vocab, kind_);
  const size_t n = vocab.tokens.size();
  roles_.resize(n);
  classes_.resize(n);
  ends_turn_.resize(n);
  ends_.reserve(n + 1);
  ends_.push_back(0);
  for (size_t i = 0; i < n; ++i) {
    const auto id = static_cast<TokenId>(i);
    roles_[i] = choose_role(vocab, i);
    append_bytes(vocab.tokens[i], i);
    ends_.push_back(bytes_.size());
    const bool control = roles_[i] == TokenRole::control;
    ends_turn_[i] = id == vocab.eos_id || id == vocab.eot_id || id == vocab.eom_id ||
                    (control && contains(turn_ends, vocab.tokens[i]));
    if (control || is_named(vocab, id)) {
      classes_[i] = TokenClass::special;
    } else if (is_punctuation(bytes(id))) {
      classes_[i] = TokenClass::punctuation;
    }
  }
  if (scaffold != nullptr) close_scaffold(vocab, *scaffold);
}

void TokenTable::close_scaffold(const Vocab& vocab, const TemplateScaffold& scaffold) {
  // In a file without types, the scaffold tokens are ordinary tokens, which merging does not produce.
  const bool has_types = std::any_of(vocab.types.begin(), vocab.types.end(), [](TokenType type) {
    return type == TokenType::control || type == TokenType::user_defined;
  });
  for (TokenId id = 0; id < size(); ++id) {
    const TokenRole of = role(id);
    if (of == TokenRole::user_defined) {
      if (scaffold.holds(bytes(id))) close(id);
    } else if (of == TokenRole::ordinary || of == TokenRole::unusable) {
      if (!is_a_tag_with_a_name(bytes(id)) || !scaffold.holds(bytes(id))) continue;
      tags_.push_back(id);
      if (!has_types) close(id);
    }
  }
}

TokenRole TokenTable::choose_role(const Vocab& vocab, size_t i) const {
  const std::string& token = vocab.tokens[i];
  if (token.empty()) return TokenRole::unusable;
  switch (vocab.types[i]) {
    case TokenType::control:
      return TokenRole::control;
    case TokenType::unknown:
      return TokenRole::unknown;
    case TokenType::byte:
      return TokenRole::byte;
    default:
      break;
  }
  // Some converters mark control tokens as ordinary or user-defined, and files without types have only ordinary tokens.
  // A user's text must still not become an end of turn, whether the template writes it or not. But an ordinary "</s>"
  // can be HTML, unless the file names it as BOS, EOS, EOT or EOM.
  const bool user_defined = vocab.types[i] == TokenType::user_defined;
  const bool named =
      is_named(vocab, static_cast<TokenId>(i)) && (looks_like_a_tag(token) || (user_defined && !is_white_space(token)));
  const bool known = contains(turn_ends, token) || contains(other_controls, token);
  if (named || (known && (user_defined || !contains(html, token)))) return TokenRole::control;
  // SentencePiece files of an older converter have user-defined tokens for runs of U+2581; they are merged, not
  // matched.
  if (user_defined && (kind_ == VocabKind::byte_level_bpe || token.find(space_symbol) == std::string::npos)) {
    return TokenRole::user_defined;
  }
  return TokenRole::ordinary;
}

void TokenTable::append_bytes(const std::string& token, size_t i) {
  if (roles_[i] == TokenRole::byte) {
    const int byte = parse_byte_token(token);
    if (byte < 0) {
      throw Error("token " + std::to_string(i) + " has the type of a byte but is " + quoted(token) +
                  "; expected <0x00> to <0xFF>");
    }
    bytes_.push_back(static_cast<char>(byte));
  } else if (roles_[i] != TokenRole::ordinary) {
    bytes_ += token;
  } else if (kind_ == VocabKind::byte_level_bpe) {
    if (append_from_byte_alphabet(token, &bytes_)) return;
    roles_[i] = TokenRole::unusable;
    bytes_ += token;
  } else {
    size_t at = 0;
    for (size_t space = 0; (space = token.find(space_symbol, at)) != std::string::npos; at = space + 3) {
      bytes_.append(token, at, space - at).push_back(' ');
    }
    bytes_.append(token, at);
  }
}

}  // namespace headroom
