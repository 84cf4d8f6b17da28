// The table of model architectures: one row per architecture says what it adds to a plain transformer.
// engine/model reads a file by its row and refuses what the row does not allow. engine/run computes with the resulting
// ModelConfig. Messages that list architectures use the names in this table.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace headroom {

/// Which two values of a head RoPE rotates as a pair.
enum class RopeStyle {
  interleaved,  // (2i, 2i + 1), as in GPT-J; converters permute the rows of Q and K for it
  neox,         // (i, i + n_rot / 2), as in GPT-NeoX
};

enum class Activation { silu, gelu_tanh };

enum class Presence { none, optional, required };

/// Which layers a sliding window of the file applies to, unless the file's own pattern says otherwise.
enum class WindowRule {
  every_layer,          // a window that covers the whole context counts as no window
  every_layer_if_said,  // like every_layer, but only if the key use_sliding_window is true
  five_of_six,          // every sixth layer sees all tokens; the other layers have their own RoPE base
};

// The rows. A field that a row does not set has the default of ArchitectureTraits.
#define HEADROOM_ARCHITECTURES(ROW)                                                                          \
  ROW(llama, .rope_style = RopeStyle::interleaved, .qkv_bias = Presence::optional, .has_rope_factors = true) \
  ROW(qwen2, .qkv_bias = Presence::required, .window_rule = WindowRule::every_layer_if_said)                 \
  ROW(gemma3, .activation = Activation::gelu_tanh, .has_qk_norms = true, .has_post_norms = true,             \
      .scales_embedding = true, .window_rule = WindowRule::five_of_six, .n_layers_with_wide_scale = 62,      \
      .may_hold_images = true)

#define HEADROOM_ROW(name, ...) name,
enum class Architecture { HEADROOM_ARCHITECTURES(HEADROOM_ROW) };
#undef HEADROOM_ROW

struct ArchitectureTraits {
  Architecture architecture;
  std::string_view name;  // general.architecture of a GGUF file
  RopeStyle rope_style = RopeStyle::neox;
  Activation activation = Activation::silu;
  Presence qkv_bias = Presence::none;
  bool has_qk_norms = false;      // each head of Q and K has an RMS norm before RoPE
  bool has_post_norms = false;    // the outputs of attention and feed-forward have an RMS norm before the residual
  bool scales_embedding = false;  // the embedding is multiplied by sqrt(n_embd)
  WindowRule window_rule = WindowRule::every_layer;
  int32_t n_layers_with_wide_scale = 0;  // a model with this number of layers divides q . k by
                                         // sqrt(n_embd / n_heads), not by sqrt(head_dim); 0: no model does
  bool has_rope_factors = false;         // a file may hold rope_freqs.weight
  bool may_hold_images = false;          // a file may hold an image encoder, which text does not need
};

std::span<const ArchitectureTraits> architectures();
const ArchitectureTraits& architecture_traits(Architecture architecture);
/// nullptr if the table does not have the name.
const ArchitectureTraits* find_architecture(std::string_view name);

/// "llama, qwen2 and gemma3"; `last` is the word before the last name.
std::string architecture_list(std::string_view last = "and");

}  // namespace headroom
