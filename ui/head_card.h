// One head in words and bars: its policy, the recovery of each policy against the threshold T, its kept tokens and
// their bytes. Drawn into a tooltip for the head under the mouse, and into the panel for the pinned head.
#pragma once

#include "engine/telemetry/mirror.h"

namespace headroom {

/// width: of the card's content. The head must exist.
void draw_head_card(const Mirror& mirror, bool dark, int32_t head, float width);

/// Tokens that the head could hold now: all, or those in the window of its layer.
int32_t tokens_in_reach(const Mirror& mirror, int32_t head);

}  // namespace headroom
