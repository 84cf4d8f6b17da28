// How much slower a step's attention is where the heads of a layer hold very different numbers of tokens: what a cache
// with a budget for each head must not cost.
#pragma once

#include "engine/backend/backend.h"
#include "engine/base/model_config.h"

namespace headroom {

/// Time of one layer's heads with lengths 10 : 1 : 1 … over the time of equal lengths with as many tokens in all,
/// interleaved, median of five; 0 for a model with one KV head. The backend holds no cache, before and afterwards.
double ragged_attention_ratio(Backend& backend, const ModelConfig& model);

}  // namespace headroom
