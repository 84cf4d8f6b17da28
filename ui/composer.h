// The field where a message is written, with Send or Stop beside it. Below it is the reason why the message cannot be
// sent, with buttons that help. The draft is UiState::draft and is never lost: not by Esc, not by browsing earlier
// messages, not while nothing can be sent, not when the engine refuses it.
#pragma once

#include <optional>
#include <string>

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

struct ComposerState {
  bool wants_focus = true;
  std::optional<size_t> history_at;  // the shown entry of ChatView::input_history; none: the draft
  std::string kept_draft;            // the draft while an earlier message is shown
  int cursor = 0;                    // its byte before the last key
  bool wants_end = false;            // put the cursor behind the last character
  std::string drawn_draft;           // the draft after the field's last frame
};

/// Height of the composer, which the caller leaves free.
float composer_height(const Mirror& mirror, const ChatView& chat, const UiState& state);
void draw_composer(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, ComposerState& own);

}  // namespace headroom
