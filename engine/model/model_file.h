// GGUF metadata and tensors ─► ModelConfig, Vocab, and every weight by its role. Throws Error for everything that would
// change the mathematics and is not supported.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/model_config.h"
#include "engine/base/tensor.h"
#include "engine/base/vocab.h"
#include "engine/model/gguf.h"

namespace headroom {

/// Weights of one layer. Shapes are (n_rows = outputs, n_cols = inputs) and have been checked. The architecture decides
/// which optional ones exist.
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
  TensorView output;       // (n_vocab, n_embd); equal to token_embd if the file ties them
  std::vector<LayerTensors> layers;
};

/// A model that can run: config, vocabulary and tensors have been checked and fit together. The views point into
/// `file`.
struct ModelFile {
  GgufFile file;
  ModelConfig config;
  Vocab vocab;
  ModelTensors tensors;
};

/// Throws Error: found, expected, where.
ModelFile load_model_file(const std::string& path);
ModelFile load_model_file(GgufFile file);

/// Reads the vocabulary alone; works on a file without tensors.
Vocab read_vocab(const GgufFile& file);

/// Reads the configuration alone; rope_freqs.weight is the only tensor that is read.
ModelConfig read_model_config(const GgufFile& file);

}  // namespace headroom
