// The panel of the conversation: messages below each other, answers as Markdown, the tokens that the active head holds
// tinted. Below them it shows what the engine does with the prompt and the cache. An empty chat shows what to do first.
#pragma once

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/plain_text.h"
#include "ui/shortcuts.h"
#include "ui/token_view.h"
#include "ui/transcript_layout.h"
#include "ui/view.h"

namespace headroom {

struct TranscriptState {
  TranscriptLayout layout;
  TokenViewState tokens;
  TextSelection selection;
  int64_t chat = -1;
  bool follows_end = true;  // until the user scrolls up
  float scroll = 0;         // the value that was set last
  size_t anchor = 0;        // an item in view, and the distance from its top down to the view's top
  float anchor_offset = 0;
  float wanted_pages = 0;  // pages to scroll down by keys
  bool wants_start = false;
  int32_t lit_token = -1;  // UiState::hovered_token of the previous frame
  double built_ms = 0;     // time that the last frame took
  std::string model_path;  // the path being typed while no model is open
};

/// Fills the rest of the current window or child window.
void draw_transcript(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions,
                     TranscriptState& own);

/// Performs page_up, page_down, to_start and to_end; returns false for any other action.
bool scroll_transcript(Action action, TranscriptState& own);

}  // namespace headroom
