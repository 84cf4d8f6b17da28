// A vocabulary as a GGUF file states it. Filled by engine/model, read by engine/text, which knows no files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/types.h"

namespace headroom {

/// tokenizer.ggml.token_type. GGUF's numbers.
enum class TokenType : int32_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct Vocab {
  std::string model;  // tokenizer.ggml.model: "gpt2" (byte-level BPE), "llama" (SentencePiece BPE), "t5" (unigram)
  std::string pre;    // tokenizer.ggml.pre; empty where the file has none
  std::vector<std::string> tokens;
  std::vector<float> scores;        // SentencePiece only; else empty
  std::vector<TokenType> types;     // one for each token; all normal where the file has none
  std::vector<std::string> merges;  // byte-level BPE only: "left right", best first
  TokenId bos_id = -1;              // -1: the file names none
  TokenId eos_id = -1;
  TokenId eot_id = -1;
  TokenId eom_id = -1;
  TokenId unknown_id = -1;
  TokenId padding_id = -1;
  bool add_bos = false;  // by the file's flag, or by the tokenizer model's rule where it has none
  bool add_eos = false;
  bool add_space_prefix = true;  // SentencePiece
  bool remove_extra_whitespaces = false;
  std::string precompiled_charsmap;  // SentencePiece unigram; opaque bytes
  std::string chat_template;         // empty: a base model
};

}  // namespace headroom
