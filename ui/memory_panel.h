// The three sizes of the KV cache (live, full, pool) as figures and over time, and the live bytes by policy and by
// layer. The three are never added up, and each explains on hover what it counts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

enum class MemoryAxis { tokens, time };

/// The lines of the plot, thinned out to what can be seen.
struct MemoryLines {
  std::vector<double> x, live, full, pool;
};

/// Makes the lines of the samples. On the axis of tokens these are the samples of the current conversation, without
/// undone tokens. On the axis of time they are all samples, in seconds since the first. Each of n_columns keeps its
/// lowest and highest live bytes. y is divided by unit_bytes.
MemoryLines memory_lines(std::span<const MirrorSample> history, MemoryAxis axis, int32_t n_columns, double unit_bytes);

struct MemoryPanelState {
  MemoryAxis axis = MemoryAxis::tokens;
  MemoryLines lines;
  // the inputs that the lines were made from
  uint64_t version = ~uint64_t{0};
  int32_t n_columns = 0;
  MemoryAxis lines_axis = MemoryAxis::tokens;
};

void draw_memory_panel(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions,
                       MemoryPanelState& own);

}  // namespace headroom
