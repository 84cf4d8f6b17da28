// A seed ─► a complete, valid model file of a few layers with random weights, for tests of everything that computes.
// Its text makes no sense, but its heads attend differently from each other, as in real models.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/model_config.h"
#include "engine/base/tensor.h"
#include "tests/support/gguf_writer.h"

namespace headroom::test {

struct TinyModelOptions {
  Architecture architecture = Architecture::llama;
  uint64_t seed = 1;
  int32_t n_layers = 2;
  int32_t n_embd = 64;
  int32_t n_heads = 4;
  int32_t n_kv_heads = 2;
  int32_t head_dim = 16;  // gemma3's default (tiny_model_options) differs from n_embd / n_heads
  int32_t n_ff = 96;
  int32_t n_ctx = 4096;
  int32_t window = 0;                        // gemma3: of the local layers
  int32_t window_pattern = 0;                // gemma3: every n-th layer is global
  TensorType matrix_type = TensorType::f32;  // f32, f16 or q8_0
  bool rope_factors = false;                 // llama: with rope_freqs.weight
  bool tied_output = false;
  bool sentencepiece = false;  // the vocabulary, and Gemma's turn markers; else byte-level BPE and ChatML
  bool chat_template = true;
  bool small_vocab = false;  // a few tokens only, for files of a few KB; no text can be tokenised with it
};

/// gemma3: 3 layers of which the second is global, head_dim 24, window 24, tied output, SentencePiece. Every other
/// architecture: 2 layers, byte-level BPE (pre "gpt-2").
TinyModelOptions tiny_model_options(Architecture architecture);

/// Equal options give equal files. Change the writer before bytes() to make variants and wrong files.
GgufWriter make_tiny_model(const TinyModelOptions& options);
inline GgufWriter make_tiny_model(Architecture architecture) {
  return make_tiny_model(tiny_model_options(architecture));
}

/// The smallest valid file of an architecture (a few KB, small_vocab), for tests that damage it many times.
TinyModelOptions smallest_model_options(Architecture architecture);

}  // namespace headroom::test
