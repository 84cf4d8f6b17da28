// The three numbers of the KV cache (live, full, pool) as figures and over time, and where the live bytes are: by
// policy and by layer. They are never added up, and each says on hover what it counts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

enum class MemoryAxis { tokens, time };

/// A line of the plot, thinned out to what can be seen.
struct MemoryLines {
  std::vector<double> x, live, full, pool;
};

/// The samples of the conversation as it stands (the axis of tokens: without what was taken back), or all (the axis
/// of time, in seconds since the first), thinned out so that each of n_columns keeps its lowest and highest live
/// bytes. y is divided by unit_bytes.
MemoryLines memory_lines(std::span<const MirrorSample> history, MemoryAxis axis, int32_t n_columns, double unit_bytes);

struct MemoryPanelState {
  MemoryAxis axis = MemoryAxis::tokens;
  MemoryLines lines;
  // what the lines were made of
  uint64_t version = ~uint64_t{0};
  int32_t n_columns = 0;
  MemoryAxis lines_axis = MemoryAxis::tokens;
};

void draw_memory_panel(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions,
                       MemoryPanelState& own);

}  // namespace headroom
