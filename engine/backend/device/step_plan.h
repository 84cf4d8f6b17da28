// Layout of a device's step buffer: where each list lies, and what the host writes there before a step runs. Offsets
// depend only on capacities, which grow in powers of two, so that a recorded step serves many tokens. The buffer's size
// does not depend on the number of tokens that heads hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/backend/backend.h"
#include "engine/backend/device/kernel_params.h"

namespace headroom::device {

/// The step buffer:
///   StepState, padded to a StepHead
///   heads    StepHead, of all layers
///   counts   four words per layer: group counts of attend_decode and merge_decode
///   changes  PageChange, n_changes of them at most
struct StepPlan {
  int32_t n_heads = 0;
  int32_t n_kv_heads = 0;
  int32_t n_layers = 0;
  uint32_t n_splits = 0;   // maximum per layer
  uint32_t n_changes = 0;  // maximum of changes of the page table in the buffer
  int64_t n_slots = 0;     // maximum of all heads together; estimates of a dispatch's time depend on it

  /// Makes the capacities large enough for a step whose layers are cut into about wanted_splits each. Returns true if
  /// they changed; then a step that was recorded with the old ones must be recorded again.
  bool fit(const DecodeStep& step, int64_t wanted_splits);
  /// Writes the step's state, heads and counts.  to: (bytes())
  /// page_stride: from head to head in the page table
  void fill(const DecodeStep& step, int64_t wanted_splits, uint32_t page_stride, std::byte* to) const;

  uint32_t head_begin(int32_t layer) const { return 1 + static_cast<uint32_t>(layer * n_kv_heads); }
  size_t counts_begin(int32_t layer) const {
    return sizeof(StepHead) * (1 + static_cast<size_t>(n_heads)) + 16 * static_cast<size_t>(layer);
  }
  /// Counted in PageChange.
  uint32_t change_begin() const { return static_cast<uint32_t>(counts_begin(n_layers) / sizeof(PageChange)); }
  size_t bytes() const { return sizeof(PageChange) * (static_cast<size_t>(change_begin()) + n_changes); }
  double slots_of_layer() const { return static_cast<double>(n_slots) / (n_layers > 0 ? n_layers : 1); }
};

/// Slots of all heads, the step's token included.
int64_t slots_of(const DecodeStep& step);

}  // namespace headroom::device
