// One token ─► the slot that it fills in every head, what the heads evict for it, and the logits that follow. The
// second half of a turn, behind prefill.h; knows no turn and no sampler.
#pragma once

#include <memory>
#include <vector>

#include "engine/run/forward.h"
#include "engine/run/kv_store.h"

namespace headroom {

/// The class that a token has at a position: position 0 is always special (the attention sink).
TokenClass class_at(const Tokenizer& tokenizer, TokenId id, int32_t position);

/// The step of one token: its operations are a program that the backend records once and runs for every token.
class Decoder {
 public:
  /// Both must outlive it.
  Decoder(const Model& model, const Forward& forward);

  /// Runs one token through the compressed caches and returns what the heads evicted.
  std::vector<Eviction> run(KvStore& store, TokenId id,
                            std::vector<float>& logits);  // (n_vocab): after the token

 private:
  void ask_for_operations() const;

  const Model& model_;
  const Forward& forward_;
  Activations row_;  // of the token
  std::unique_ptr<DeviceBuffer> residual_;
  std::unique_ptr<StepProgram> program_;
};

}  // namespace headroom
