// One head in words and bars: its policy, the recovery of each policy against T, what it keeps and what that costs.
// Drawn into a tooltip for the head under the mouse, and into the panel for the pinned one.
#pragma once

#include "engine/telemetry/mirror.h"

namespace headroom {

/// width: of the card's content. The head must exist.
void draw_head_card(const Mirror& mirror, bool dark, int32_t head, float width);

/// Tokens that a layer's heads could hold now: all, or what its window reaches.
int32_t tokens_in_reach(const Mirror& mirror, int32_t head);

}  // namespace headroom
