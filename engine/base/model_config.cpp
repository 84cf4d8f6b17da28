// Sizes computed from a model's numbers. See model_config.h.
#include "engine/base/model_config.h"

#include <algorithm>

namespace headroom {

int32_t reachable_tokens(int32_t n_tokens, int32_t window) {
  return window == 0 ? n_tokens : std::min(n_tokens, window - 1);
}

int64_t full_kv_bytes(const ModelConfig& config, int64_t n_tokens) {
  int64_t tokens_of_all_layers = 0;
  for (const LayerConfig& layer : config.layers)
    tokens_of_all_layers += reachable_tokens(static_cast<int32_t>(n_tokens), layer.window);
  return tokens_of_all_layers * config.n_kv_heads * config.head_dim * 2 * 2;
}

}  // namespace headroom
