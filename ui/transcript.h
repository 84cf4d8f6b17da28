// The chat as it is read: messages one below the other, answers as Markdown, with the tokens that a head still holds
// tinted, what the engine is doing with the prompt and the cache, and a sentence where there is nothing yet.
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
  bool follows_end = true;  // until somebody scrolls up
  float scroll = 0;         // as it was set last
  size_t anchor = 0;        // an item in view, and how far below its top the view begins
  float anchor_offset = 0;
  float wanted_pages = 0;  // by keys: pages to go down
  bool wants_start = false;
  int32_t lit_token = -1;  // the hovered one of the frame before
  double built_ms = 0;     // what the last frame took
  std::string model_path;  // that is being typed, where no model is open
};

/// Fills what is left of the window (or child window) it is drawn in.
void draw_transcript(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions,
                     TranscriptState& own);

/// page_up, page_down, to_start, to_end; false for any other.
bool scroll_transcript(Action action, TranscriptState& own);

}  // namespace headroom
