// The transformer's own arithmetic, one layer at a time, on whatever backend: projections before attention, mixing and
// feed-forward after it, logits at the end. Attention itself stands between the two, in prefill.cpp and decode.cpp.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/run/model.h"

namespace headroom {

/// One layer's weights on the device; the optional ones are null where the architecture has none.
struct LayerWeights {
  using Weight = std::unique_ptr<DeviceWeight>;
  Weight attn_norm, attn_q, attn_k, attn_v, attn_q_bias, attn_k_bias, attn_v_bias, attn_q_norm, attn_k_norm;
  Weight attn_output, post_attention_norm, ffn_norm, ffn_gate, ffn_up, ffn_down, post_ffw_norm;
  DeviceBuffer* rope_frequencies = nullptr;  // (n_rot / 2) f32, radians a position; shared by layers alike
};

/// Room for the activations of up to n_rows tokens inside a layer, in one buffer. f32, row-major.
class Activations {
 public:
  Activations(Backend& backend, const ModelConfig& config, int32_t n_rows);

  Matrix hidden;    // (n_rows, n_embd): a normalised input
  Matrix q;         // (n_rows, n_heads * head_dim)
  Matrix k, v;      // (n_rows, n_kv_heads * head_dim)
  Matrix attended;  // (n_rows, n_heads * head_dim)
  Matrix branch;    // (n_rows, n_embd): what is added to the residual stream
  Matrix gate, up;  // (n_rows, n_ff)

 private:
  std::vector<std::unique_ptr<DeviceBuffer>> buffers_;
};

class Forward {
 public:
  Forward(const Model& model, Backend& backend);

  const ModelConfig& config() const { return model_.config(); }
  Backend& backend() const { return backend_; }
  /// Bytes of weights that one token reads (the embedding counts one row).
  int64_t weight_bytes_per_token() const;

  /// x row r = embedding of ids[r].  x: (n, n_embd)
  void embed(std::span<const TokenId> ids, Matrix x) const;
  /// In a step: x = embedding of its token.  x: (1, n_embd)
  void embed_token(Matrix x) const;
  /// Fills q, k, v of the block, after bias, norm and RoPE; row r is at position0 + r.  x: (n, n_embd)
  /// before_rope: if given, is called with q before RoPE.
  void project(int32_t layer, Matrix x, int32_t position0, const Activations& block,
               const std::function<void(Matrix)>& before_rope = {}) const;
  /// In a step: the same for its token.  x: (1, n_embd)
  void project_token(int32_t layer, Matrix x, const Activations& block) const;
  /// Radians a position of a layer's rotated pairs.  (n_rot / 2)
  std::span<const float> rope_frequencies(int32_t layer) const;
  /// Adds attention's and the feed-forward network's contributions to x.  attended: (n, n_heads * head_dim)
  void finish_layer(int32_t layer, Matrix x, Matrix attended, const Activations& block) const;
  /// Computes the logits that follow one row, on the device.  x: (1, n_embd); returns (1, n_vocab)
  Matrix compute_logits(Matrix x, const Activations& block) const;
  /// The same on the host.  out: (n_vocab)
  void logits(Matrix x, const Activations& block, std::vector<float>& out) const;
  /// Where compute_logits writes.  (1, n_vocab)
  Matrix logits_row() const { return {logits_.get(), 0, 1, config().n_vocab, config().n_vocab}; }

 private:
  void project_before_rope(int32_t layer, Matrix x, const Activations& block) const;

  const Model& model_;
  Backend& backend_;
  std::unique_ptr<DeviceWeight> token_embd_, output_norm_, output_;
  std::vector<LayerWeights> layers_;
  std::vector<std::unique_ptr<DeviceBuffer>> rope_tables_;
  std::vector<std::vector<float>> rope_frequencies_;  // (layers): what the tables hold
  std::unique_ptr<DeviceBuffer> logits_;
};

}  // namespace headroom
