// The whole conversation as its tokens: control tokens as chips, white space visible, coloured by the share of heads
// that hold each, or by whether one head does. Also the card of one token, which the transcript shows too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

struct TokenViewState {
  // Laid out once for each token and width; rows are what is drawn.
  struct Cell {
    TokenId id = 0;
    uint32_t text_end = 0;  // in Mirror::token_text(): with the id, whether it is the same token
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

/// A tooltip: the token, where it stands, its class, how many heads hold it.
void show_token_card(const Mirror& mirror, int32_t position);

/// A token as one line: white space as signs, bytes that are no character as "<E2>".
std::string visible_token(std::string_view text);

/// "Layer 3, KV head 1 keeps 120 of 300 tokens"; both counted from 0, as everywhere in the window.
std::string head_sentence(const Mirror& mirror, int32_t head);

}  // namespace headroom
