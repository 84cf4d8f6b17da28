// One token, as the host plans it before anything runs: where each list lies in the step buffer. Places follow from
// capacities, which grow in powers of two, so that the operations of a step are those of the step before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/backend/backend.h"

namespace headroom::vulkan {

/// The step buffer:
///   StepState, padded to a StepHead
///   heads   StepHead, of all layers
///   counts  four words a layer: group counts of attend_decode and merge_decode
///   splits  StepSplit, n_splits of each layer
///   pages   addresses of n_pages pages, head after head
struct StepPlan {
  int32_t n_heads = 0;
  int32_t n_kv_heads = 0;
  int32_t n_layers = 0;
  uint32_t n_splits = 0;  // of a layer at most
  uint32_t n_pages = 0;   // of all heads at most
  size_t bytes = 0;

  // Of the step that runs.
  int64_t n_slots = 0;                 // of all heads
  std::vector<uint8_t> is_appended{};  // by layer: attend_decode was asked for
  std::vector<uint8_t> is_evicted{};   // by layer: evict was asked for

  uint32_t head_begin(int32_t layer) const { return 1 + static_cast<uint32_t>(layer * n_kv_heads); }
  size_t counts_begin(int32_t layer) const {
    return 64 * (1 + static_cast<size_t>(n_heads)) + 16 * static_cast<size_t>(layer);
  }
  uint32_t split_begin(int32_t layer) const {
    return static_cast<uint32_t>(counts_begin(n_layers) / 16) + static_cast<uint32_t>(layer) * n_splits;
  }
  uint32_t page_begin() const { return 2 * split_begin(n_layers); }
  /// Slots of a layer, as far as the estimate of a dispatch's time may depend on them.
  double typical_slots() const { return 16.0 * n_pages / (n_layers > 0 ? n_layers : 1); }
};

/// A slot that left, before the report is put together.
struct LeftSlot {
  Eviction eviction;
  size_t row = 0;  // of the words that were collected
};

}  // namespace headroom::vulkan
