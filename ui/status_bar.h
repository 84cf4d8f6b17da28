// One line at the bottom: model, backend, speeds, context, KV cache, recording; while a model is loading, its progress.
// Pieces that do not fit are left out, the least important first.
#pragma once

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

/// Counts of the last frame; for tests.
struct StatusBarState {
  int n_shown = 0, n_dropped = 0;
};

void draw_status_bar(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, StatusBarState& own);

/// Generated tokens per second of the running turn, else of the last turn; 0: nothing was measured yet.
double generate_speed(const Mirror& mirror);

}  // namespace headroom
