// GGUF metadata ─► Vocab. Knows nothing about tokenising; engine/text interprets the result.
#include <algorithm>
#include <array>
#include <cmath>

#include "engine/model/model_file.h"
#include "engine/model/refusal.h"

namespace headroom {
namespace {

std::string read_tokenizer_model(const GgufFile& file) {
  const std::optional<std::string> model = file.get_string("tokenizer.ggml.model");
  if (!model) refuse(file.path(), key_field("tokenizer.ggml.model"), "none", "a string");
  if (*model != "gpt2" && *model != "llama" && *model != "t5")
    refuse_unsupported(file.path(), key_field("tokenizer.ggml.model"), quoted(*model), "one of gpt2, llama, t5");
  return *model;
}

// Checked before anything is copied, so that arrays of the wrong length cost nothing.
void check_count(const GgufFile& file, std::string_view key, size_t n_tokens) {
  const GgufValue* value = file.find(key);
  if (value == nullptr || value->type != GgufType::array || value->count == n_tokens) return;
  refuse(file.path(), key_field(key), std::to_string(value->count) + " values",
         "one for each of the " + std::to_string(n_tokens) + " tokens");
}

void read_tokens(const GgufFile& file, Vocab& vocab) {
  constexpr std::string_view tokens_key = "tokenizer.ggml.tokens", types_key = "tokenizer.ggml.token_type",
                             scores_key = "tokenizer.ggml.scores", merges_key = "tokenizer.ggml.merges";
  const GgufValue* tokens = file.find(tokens_key);
  if (tokens == nullptr || tokens->count == 0)
    refuse(file.path(), key_field(tokens_key), "no tokens", "an array of at least one string");
  const auto n_tokens = static_cast<size_t>(tokens->count);
  check_count(file, types_key, n_tokens);
  check_count(file, scores_key, n_tokens);
  vocab.tokens = *file.get_strings(tokens_key);

  vocab.types.assign(n_tokens, TokenType::normal);
  if (const auto types = file.get_ints(types_key)) {
    for (size_t id = 0; id < n_tokens; ++id) {
      const int64_t type = (*types)[id];
      if (type < static_cast<int64_t>(TokenType::normal) || type > static_cast<int64_t>(TokenType::byte))
        refuse(file.path(), key_field(types_key), std::to_string(type) + " for token " + std::to_string(id), "1 to 6");
      vocab.types[id] = static_cast<TokenType>(type);
    }
  }
  if (vocab.model == "gpt2") {
    auto merges = file.get_strings(merges_key);
    if (!merges) refuse(file.path(), key_field(merges_key), "none", "an array of string");
    vocab.merges = std::move(*merges);
    return;
  }
  auto scores = file.get_floats(scores_key);
  if (!scores) refuse(file.path(), key_field(scores_key), "none", "an array of f32");
  for (size_t id = 0; id < n_tokens; ++id)
    if (!std::isfinite((*scores)[id]))
      refuse(file.path(), key_field(scores_key), "a score of token " + std::to_string(id) + " that is not a number",
             "finite scores");
  vocab.scores = std::move(*scores);
}

// otherwise: the id if the file has no such key. As in llama.cpp, it is ignored if it is outside the vocabulary.
TokenId read_id(const GgufFile& file, const Vocab& vocab, std::string_view name, TokenId otherwise) {
  const std::string key = "tokenizer.ggml." + std::string(name);
  const auto n_tokens = static_cast<int64_t>(vocab.tokens.size());
  const std::optional<int64_t> id = file.get_int(key);
  if (!id) return otherwise < n_tokens ? otherwise : -1;
  // Converters write -1 (also as an unsigned number) if there is no such token.
  if (*id == -1 || *id == int64_t{UINT32_MAX}) return -1;
  if (*id < 0 || *id >= n_tokens)
    refuse(file.path(), key_field(key), "token " + std::to_string(*id), "0 to " + std::to_string(n_tokens - 1));
  return static_cast<TokenId>(*id);
}

void read_ids(const GgufFile& file, Vocab& vocab) {
  // Without these keys, the SentencePiece kinds have the default ids of their trainers.
  const bool is_llama = vocab.model == "llama", is_t5 = vocab.model == "t5";
  vocab.bos_id = read_id(file, vocab, "bos_token_id", is_llama ? 1 : -1);
  vocab.eos_id = read_id(file, vocab, "eos_token_id", is_llama ? 2 : is_t5 ? 1 : -1);
  vocab.eot_id = read_id(file, vocab, "eot_token_id", -1);
  vocab.eom_id = read_id(file, vocab, "eom_token_id", -1);
  vocab.unknown_id = read_id(file, vocab, "unknown_token_id", is_llama ? 0 : is_t5 ? 2 : -1);
  vocab.padding_id = read_id(file, vocab, "padding_token_id", is_t5 ? 0 : -1);
}

// llama.cpp's rule for files without the flag add_bos_token.
bool adds_bos_by_default(const Vocab& vocab) {
  constexpr std::array<std::string_view, 11> pre_with_bos{"llama3",       "llama-v3", "llama-bpe", "falcon3",
                                                          "falcon-h1",    "pixtral",  "midm-2.0",  "lfm2",
                                                          "jina-v5-nano", "tekken",   "chameleon"};
  if (vocab.model == "gpt2")
    return std::find(pre_with_bos.begin(), pre_with_bos.end(), vocab.pre) != pre_with_bos.end();
  return vocab.model == "llama";
}

void read_flags(const GgufFile& file, Vocab& vocab) {
  const std::optional<bool> add_bos = file.get_bool("tokenizer.ggml.add_bos_token");
  const std::optional<bool> add_eos = file.get_bool("tokenizer.ggml.add_eos_token");
  if (add_bos == true && vocab.bos_id < 0)
    refuse(file.path(), key_field("tokenizer.ggml.add_bos_token"), "true without a BOS token",
           "'tokenizer.ggml.bos_token_id' beside it");
  if (add_eos == true && vocab.eos_id < 0)
    refuse(file.path(), key_field("tokenizer.ggml.add_eos_token"), "true without an EOS token",
           "'tokenizer.ggml.eos_token_id' beside it");
  vocab.add_bos = add_bos.value_or(adds_bos_by_default(vocab)) && vocab.bos_id >= 0;
  vocab.add_eos = add_eos.value_or(vocab.model == "t5") && vocab.eos_id >= 0;
  vocab.add_space_prefix = file.get_bool("tokenizer.ggml.add_space_prefix").value_or(vocab.model != "gpt2");
  vocab.remove_extra_whitespaces = file.get_bool("tokenizer.ggml.remove_extra_whitespaces").value_or(false);
}

// Throws Error for keys that would change the ids or the sampling and are not supported.
void refuse_what_is_not_honoured(const GgufFile& file) {
  for (const std::string_view name : {"normalizer.lowercase", "normalizer.strip_accents", "add_sep_token"}) {
    const std::string key = "tokenizer.ggml." + std::string(name);
    if (file.get_bool(key).value_or(false)) refuse_unsupported(file.path(), key_field(key), "true", "false");
  }
  const GgufValue* suppressed = file.find("tokenizer.ggml.suppress_tokens");
  if (suppressed != nullptr && suppressed->count > 0)
    refuse_unsupported(file.path(), key_field("tokenizer.ggml.suppress_tokens"),
                       std::to_string(suppressed->count) + " tokens", "none");
}

std::string read_charsmap(const GgufFile& file) {
  constexpr std::string_view key = "tokenizer.ggml.precompiled_charsmap";
  const GgufValue* value = file.find(key);
  if (value == nullptr) return {};
  const bool is_bytes =
      value->type == GgufType::array && (value->element_type == GgufType::u8 || value->element_type == GgufType::i8);
  if (!is_bytes) refuse(file.path(), key_field(key), "another type", "an array of u8 or i8");
  return {reinterpret_cast<const char*>(value->bytes.data()), value->bytes.size()};
}

}  // namespace

Vocab read_vocab(const GgufFile& file) {
  Vocab vocab;
  vocab.model = read_tokenizer_model(file);
  vocab.pre = file.get_string("tokenizer.ggml.pre").value_or("");
  refuse_what_is_not_honoured(file);
  read_tokens(file, vocab);
  read_ids(file, vocab);
  read_flags(file, vocab);
  vocab.precompiled_charsmap = read_charsmap(file);
  vocab.chat_template = file.get_string("tokenizer.chat_template").value_or("");
  return vocab;
}

}  // namespace headroom
