// The vocabulary of a GGUF file. engine/model fills it; engine/text, which knows no files, reads it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/types.h"

namespace headroom {

/// Values of tokenizer.ggml.token_type.
enum class TokenType : int32_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct Vocab {
  std::string model;  // tokenizer.ggml.model: "gpt2" (byte-level BPE), "llama" (SentencePiece BPE), "t5" (unigram)
  std::string pre;    // tokenizer.ggml.pre; empty if the file has none
  std::vector<std::string> tokens;
  std::vector<float> scores;        // SentencePiece only; else empty
  std::vector<TokenType> types;     // one per token; all normal if the file has none
  std::vector<std::string> merges;  // byte-level BPE only: "left right", best first
  TokenId bos_id = -1;              // -1: the file names none
  TokenId eos_id = -1;
  TokenId eot_id = -1;
  TokenId eom_id = -1;
  TokenId unknown_id = -1;
  TokenId padding_id = -1;
  bool add_bos = false;  // the file's flag, or the tokenizer model's default if there is none
  bool add_eos = false;
  bool add_space_prefix = true;  // SentencePiece
  bool remove_extra_whitespaces = false;
  std::string precompiled_charsmap;  // SentencePiece unigram only; opaque bytes
  std::string chat_template;         // empty: a base model
};

}  // namespace headroom
