// The table of model architectures: one row per architecture says what its mathematics adds to a plain transformer.
// engine/model reads a file by its row and refuses what the row does not allow; engine/run computes with the
// ModelConfig that results. Sentences that list architectures take their names from here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace headroom {

/// Which two values of a head RoPE rotates together.
enum class RopeStyle {
  interleaved,  // (2i, 2i + 1), as in GPT-J; converters permute the rows of Q and K for it
  neox,         // (i, i + n_rot / 2), as in GPT-NeoX
};

enum class Activation { silu, gelu_tanh };

enum class Presence { none, optional, required };

/// Which layers a sliding window of the file applies to, unless the file's own pattern says otherwise.
enum class WindowRule {
  every_layer,          // a window as long as the context is none
  every_layer_if_said,  // the same, if the key use_sliding_window says that the window is in use
  five_of_six,          // every sixth layer sees all; the others have a RoPE base of their own
};

// The rows. A field that a row leaves out has its value of ArchitectureTraits.
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
  bool has_qk_norms = false;      // an RMS norm of each head of Q and K before RoPE
  bool has_post_norms = false;    // an RMS norm of what attention and feed-forward add to the residual
  bool scales_embedding = false;  // by sqrt(n_embd)
  WindowRule window_rule = WindowRule::every_layer;
  int32_t n_layers_with_wide_scale = 0;  // a model of so many layers divides q . k by sqrt(n_embd / n_heads), not by
                                         // sqrt(head_dim); 0: none does
  bool has_rope_factors = false;         // a file may hold rope_freqs.weight
  bool may_hold_images = false;          // a file may hold an image encoder, which text does not need
};

std::span<const ArchitectureTraits> architectures();
const ArchitectureTraits& architecture_traits(Architecture architecture);
/// nullptr for a name that is none of the table.
const ArchitectureTraits* find_architecture(std::string_view name);

/// "llama, qwen2 and gemma3", with another word before the last if `last` says so.
std::string architecture_list(std::string_view last = "and");

}  // namespace headroom
