// The field where a message is written, with Send or Stop beside it. The draft is UiState::draft and is never lost:
// not by Esc, not by walking through what was sent before, not while nothing can be sent, not where it was refused.
// Below it stands what keeps the message from being sent, with buttons for what helps.
#pragma once

#include <optional>
#include <string>

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

struct ComposerState {
  bool wants_focus = true;
  std::optional<size_t> history_at;  // index into ChatView::input_history that is shown; none: the draft
  std::string kept_draft;            // while something sent before is shown
  int cursor = 0;                    // where it was before the last key
  bool wants_end = false;            // the cursor goes behind the last character
  std::string drawn_draft;           // as the field left it
};

/// Height that it takes, to leave free for it.
float composer_height(const Mirror& mirror, const ChatView& chat, const UiState& state);
void draw_composer(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, ComposerState& own);

}  // namespace headroom
