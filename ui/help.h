// The list of all keys, out of the table that dispatches them.
#pragma once

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

struct HelpState {
  bool was_open = false;
};

/// A dialog over everything while UiState::show_help; F1, Esc and its cross close it. Called outside of any window.
void draw_help(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, HelpState& own);
/// The list itself, into the current window.
void draw_shortcut_list();

}  // namespace headroom
