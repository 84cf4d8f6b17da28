// Measures how much slower a step's attention is if the heads of a layer hold very different numbers of tokens. A cache
// with a budget per head must not cost that.
#pragma once

#include "engine/backend/backend.h"
#include "engine/base/model_config.h"

namespace headroom {

/// Time of one layer's attention with head lengths 10 : 1 : 1 …, divided by the time of equal lengths with the same
/// total. The two are interleaved; the result is the median of five. 0 for a model with one KV head. The backend must
/// hold no cache before, and holds none afterwards.
double ragged_attention_ratio(Backend& backend, const ModelConfig& model);

}  // namespace headroom
