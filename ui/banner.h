// Draws what a person must know now above the transcript: failures, warnings, what can be undone.
#pragma once

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

struct BannerState {
  int n_drawn = 0;  // for tests
};

/// Takes no room if there is no banner.
void draw_banners(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, BannerState& own);

}  // namespace headroom
