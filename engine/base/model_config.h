// The numbers that define a model's mathematics. engine/model fills them from a GGUF file or refuses the file.
// engine/run computes with them. Every field has been checked against the tensors' shapes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/architecture.h"

namespace headroom {

/// What differs from layer to layer.
struct LayerConfig {
  int32_t window = 0;    // sliding window in tokens: row i sees columns j with i - j < window; 0 = all
  float rope_theta = 0;  // base frequency of this layer
  float rope_scale = 1;  // positions are multiplied by it (linear scaling: 1 / factor)
};

struct ModelConfig {
  Architecture architecture = Architecture::llama;
  std::string name;  // general.name, or the file's name
  int32_t n_layers = 0;
  int32_t n_embd = 0;
  int32_t n_ff = 0;
  int32_t n_heads = 0;  // query heads
  int32_t n_kv_heads = 0;
  int32_t head_dim = 0;
  int32_t n_vocab = 0;
  int32_t n_ctx_train = 0;  // the model's last position + 1
  int32_t n_rot = 0;        // values of a head that RoPE rotates, from the front
  RopeStyle rope_style = RopeStyle::interleaved;
  Activation activation = Activation::silu;
  float rms_eps = 1e-5f;
  float embedding_scale = 1;  // factor of the embedding; gemma: sqrt(n_embd)
  float attention_scale = 0;  // factor of q . k
  std::vector<LayerConfig> layers;
  std::vector<float> rope_factors;  // rope_freqs.weight: divisors of the n_rot / 2 frequencies; empty: none

  const ArchitectureTraits& traits() const { return architecture_traits(architecture); }
  int32_t group() const { return n_heads / n_kv_heads; }
  int32_t q_dim() const { return n_heads * head_dim; }
  int32_t kv_dim() const { return n_kv_heads * head_dim; }
  /// The sliding window of a KV head, in tokens; 0: none. head: layer * n_kv_heads + kv_head.
  int32_t window_of(int32_t head) const { return layers[head / n_kv_heads].window; }
};

/// kv_full_bytes: the size of K and V in f16 if every head held all n_tokens, or all that its window can reach.
int64_t full_kv_bytes(const ModelConfig& config, int64_t n_tokens);

/// Columns that the token at position n_tokens can attend to in a layer: all n_tokens, or window - 1 if that is less.
int32_t reachable_tokens(int32_t n_tokens, int32_t window);

}  // namespace headroom
