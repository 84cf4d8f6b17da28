// The stages that every backend times, under the names that a profile shows: an operation is called the same on each of
// them, so that their times can stand side by side.
#pragma once

#include <array>
#include <cstddef>

#include "engine/backend/backend.h"

namespace headroom {

/// In the order in which a token meets them.
enum class Stage {
  embed,
  rms_norm,
  matmul,
  matmul_qkv,
  matmul_output,
  matmul_feed_forward,
  matmul_logits,
  rope,
  store_kv,
  attend_prefill,
  attend_prefill_softmax,
  attend_prefill_mix,
  attend_prefill_sums,
  add_query_moments,
  expected_attention,
  attend_decode,
  merge_decode,
  evict,
  gather_slots,
  add,
  gated_activation,
  fill_zero,
  copy_page,
  read_cache,
  step_state,  // what a device has to be told before a step
  count
};

inline constexpr std::array<const char*, static_cast<size_t>(Stage::count)> stage_names{"embed",
                                                                                        "rms_norm",
                                                                                        "matmul",
                                                                                        "matmul_qkv",
                                                                                        "matmul_output",
                                                                                        "matmul_feed_forward",
                                                                                        "matmul_logits",
                                                                                        "rope",
                                                                                        "store_kv",
                                                                                        "attend_prefill",
                                                                                        "attend_prefill_softmax",
                                                                                        "attend_prefill_mix",
                                                                                        "attend_prefill_sums",
                                                                                        "add_query_moments",
                                                                                        "expected_attention",
                                                                                        "attend_decode",
                                                                                        "merge_decode",
                                                                                        "evict",
                                                                                        "gather_slots",
                                                                                        "add",
                                                                                        "gated_activation",
                                                                                        "fill_zero",
                                                                                        "copy_page",
                                                                                        "read_cache",
                                                                                        "step_state"};

/// The stage of a product.
constexpr Stage stage_of(MatmulUse use) {
  return static_cast<Stage>(static_cast<int>(Stage::matmul) + static_cast<int>(use));
}
static_assert(stage_of(MatmulUse::logits) == Stage::matmul_logits);

/// What a stage that goes over the matrix once has to read or write at least.
inline double matrix_bytes(const Matrix& m) {
  return 4.0 * m.n_rows * m.n_cols;
}

}  // namespace headroom
