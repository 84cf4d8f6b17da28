// The list of all keys, made from the table that dispatches them (shortcuts.h).
#pragma once

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

struct HelpState {
  bool was_open = false;
};

/// Draws a dialog over everything while UiState::show_help is set; F1, Esc and its cross close it. Call it outside of
/// any window.
void draw_help(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, HelpState& own);
/// Draws the list into the current window.
void draw_shortcut_list();

}  // namespace headroom
