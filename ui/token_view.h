// The whole conversation as tokens: control tokens as chips, white space visible. A token's colour is the share of
// heads that hold it, or whether the active head does. Also the card of one token, which the transcript shows too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

struct TokenViewState {
  // Computed once per token and width.
  struct Cell {
    TokenId id = 0;
    uint32_t text_end = 0;  // in Mirror::token_text(); an equal id and text_end mean the same token
    float width = 0;
    bool ends_row = false;  // a line feed
  };
  std::vector<Cell> cells;
  std::vector<int32_t> rows;                      // first token of each
  float font_size = 0, width = 0, row_width = 0;  // row_width: of the last row so far
  uint64_t version = 0;
  bool follows_end = true;
};

void draw_token_view(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, TokenViewState& own);

/// Shows a tooltip: the token, its position, its class, how many heads hold it.
void show_token_card(const Mirror& mirror, int32_t position);

/// A token as one line: white space as visible signs, invalid UTF-8 as "<E2>".
std::string visible_token(std::string_view text);

/// "Layer 3, KV head 1 keeps 120 of 300 tokens"; both counted from 0, as everywhere in the window.
std::string head_sentence(const Mirror& mirror, int32_t head);

}  // namespace headroom
