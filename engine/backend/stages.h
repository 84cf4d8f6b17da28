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
  rope,
  store_kv,
  attend_prefill,
  add_query_moments,
  expected_attention,
  attend_decode,
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
                                                                                        "rope",
                                                                                        "store_kv",
                                                                                        "attend_prefill",
                                                                                        "add_query_moments",
                                                                                        "expected_attention",
                                                                                        "attend_decode",
                                                                                        "evict",
                                                                                        "gather_slots",
                                                                                        "add",
                                                                                        "gated_activation",
                                                                                        "fill_zero",
                                                                                        "copy_page",
                                                                                        "read_cache",
                                                                                        "step_state"};

/// What a stage that goes over the matrix once has to read or write at least.
inline double matrix_bytes(const Matrix& m) {
  return 4.0 * m.n_rows * m.n_cols;
}

}  // namespace headroom
