// Logits ─► the next token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "engine/base/types.h"

namespace headroom {

/// In this order: repeat penalty, top-k, top-p, min-p, temperature. Names and meanings as in llama.cpp.
struct SamplerOptions {
  float temperature = 0.7f;     // 0: the largest logit, after the repeat penalty
  int32_t top_k = 40;           // 0: all
  float top_p = 0.95f;          // 1: all
  float min_p = 0.05f;          // 0: all
  float repeat_penalty = 1.0f;  // 1: none
  uint64_t seed = 0;            // the same seed gives the same answer
};

/// Tokens that the repeat penalty looks back on.
inline constexpr size_t n_repeat_tokens = 64;

class Sampler {
 public:
  /// Throws Error for values out of range.
  explicit Sampler(const SamplerOptions& options);
  /// recent: the tokens before, oldest first. logits: (n_vocab), finite.
  TokenId sample(std::span<const float> logits, std::span<const TokenId> recent);

 private:
  struct Candidate {
    TokenId id;
    float logit;
  };
  SamplerOptions options_;
  std::mt19937_64 random_;
  std::vector<Candidate> candidates_;
  std::vector<float> penalised_;
};

}  // namespace headroom
