// GGUF metadata and tensors ─► ModelConfig, Vocab, and every weight by its role. Refuses, with a sentence, what would
// change the mathematics and is not honoured here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/model_config.h"
#include "engine/base/tensor.h"
#include "engine/base/vocab.h"
#include "engine/model/gguf.h"

namespace headroom {

/// Weights of one layer; shapes are (n_rows = outputs, n_cols = inputs) and checked. Optional ones by architecture.
struct LayerTensors {
  TensorView attn_norm;               // (n_embd)
  TensorView attn_q, attn_k, attn_v;  // (q_dim, n_embd), (kv_dim, n_embd), (kv_dim, n_embd)
  std::optional<TensorView> attn_q_bias, attn_k_bias, attn_v_bias;  // F32
  std::optional<TensorView> attn_q_norm, attn_k_norm;               // (head_dim)
  TensorView attn_output;                                           // (n_embd, q_dim)
  std::optional<TensorView> post_attention_norm;                    // (n_embd)
  TensorView ffn_norm;                                              // (n_embd)
  TensorView ffn_gate, ffn_up;                                      // (n_ff, n_embd)
  TensorView ffn_down;                                              // (n_embd, n_ff)
  std::optional<TensorView> post_ffw_norm;                          // (n_embd)
};

struct ModelTensors {
  TensorView token_embd;   // (n_vocab, n_embd)
  TensorView output_norm;  // (n_embd)
  TensorView output;       // (n_vocab, n_embd); the same as token_embd where the file ties them
  std::vector<LayerTensors> layers;
};

/// A model that can run: everything checked against everything. The views point into `file`.
struct ModelFile {
  GgufFile file;
  ModelConfig config;
  Vocab vocab;
  ModelTensors tensors;
};

/// Throws Error: found, expected, where.
ModelFile load_model_file(const std::string& path);
ModelFile load_model_file(GgufFile file);

/// The vocabulary alone; works on a file without tensors.
Vocab read_vocab(const GgufFile& file);

/// The mathematics alone (no tensor is looked at but rope_freqs.weight).
ModelConfig read_model_config(const GgufFile& file);

}  // namespace headroom
