// One token ─► the slot that it fills in every head, what the heads evict for it, and the logits that follow. The
// second half of a turn, behind prefill.h; knows no turn and no sampler.
#pragma once

#include <vector>

#include "engine/run/forward.h"
#include "engine/run/kv_store.h"

namespace headroom {

/// The class that a token has at a position: position 0 is always special (the attention sink).
TokenClass class_at(const Tokenizer& tokenizer, TokenId id, int32_t position);

/// Runs one token through the compressed caches and returns what the heads evicted.
std::vector<Eviction> decode(const Model& model, const Forward& forward, KvStore& store, const Activations& row,
                             Matrix x,  // (1, n_embd), row-major, f32: the residual of the token
                             TokenId id,
                             std::vector<float>& logits);  // (n_vocab): after the token

}  // namespace headroom
