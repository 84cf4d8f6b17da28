// What a prefill measures of the attention between its queries and the keys, as plain numbers in host memory. A backend
// adds the sums up, engine/run brings them here, and the planner (keep_plan.h) decides by them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/types.h"
#include "engine/kv/solve_threshold.h"

namespace headroom {

/// `recent_mass` counts this many queries, the last ones of the prefill.
inline constexpr int32_t n_recent_rows = 64;

/// What a prefill has to measure. Each statistic costs time: only what a configuration asks for is measured.
struct PrefillMeasures {
  bool attention_mass = false;                               // attention that each key received from all queries
  int32_t n_windows = 0;                                     // windowed_mass, for so many local windows
  std::array<double, solved_shares.size()> window_shares{};  // r_local of each window
  bool recent_mass = false;                                  // attention from the last n_recent_rows queries
  bool expected = false;                                     // expected attention and the norms of the values

  bool any() const { return attention_mass || recent_mass || expected; }
};

/// Measurements of one layer. Each row has a value for every key: first a head's slots, padded to n_held_keys, then the
/// new tokens. A list is empty if it was not measured.
struct LayerMeasurements {
  PrefillMeasures measures;
  int64_t stride = 0;                        // values from one row to the next
  int32_t n_held_keys = 0;                   // the first new token's place in a row
  std::vector<float> attention_mass{};       // (n_heads, stride)
  std::vector<float> windowed_mass{};        // (n_windows, n_heads, stride)
  std::vector<float> recent_mass{};          // (n_heads, stride)
  std::vector<float> expected_scores_raw{};  // (n_heads, stride): before the softmax
  std::vector<float> value_norms{};          // (n_kv_heads, stride)

  /// Rows of one of the lists; nothing if it is empty.
  std::span<const float> rows(const std::vector<float>& of, int32_t first, int32_t count) const {
    if (of.empty()) return {};
    return std::span(of).subspan(static_cast<size_t>(first * stride), static_cast<size_t>(count * stride));
  }
};

/// Everything that one prefill of an empty cache measured: enough to plan any covered configuration (keep_plan.h).
struct PrefillMeasurements {
  std::vector<SlotTag> tags;              // of its tokens, in order
  std::vector<LayerMeasurements> layers;  // (n_layers)
};

}  // namespace headroom
