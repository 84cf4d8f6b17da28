// Every KV head of the model as a cell: layers down, KV heads across, coloured by policy or by a number. The head under
// the mouse goes to the transcript (UiState::hovered_head). The token under the mouse there marks the heads that hold
// it here (UiState::hovered_token).
#pragma once

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

struct HeadMapState {
  float cells_width = 0, cells_height = 0;  // of one cell in the last frame; for tests
  float cells_left = 0, cells_top = 0;      // of the first cell on screen
};

void draw_head_map(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, HeadMapState& own);

}  // namespace headroom
