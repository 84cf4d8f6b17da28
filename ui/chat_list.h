// The panel of chats, newest first: open, begin, rename in place, delete. A title is untrusted text of any length; it
// is shown on one line.
#pragma once

#include <cstdint>
#include <string>

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

struct ChatListState {
  int64_t renamed_chat = 0;  // the chat that is being renamed in place; 0: none
  std::string new_title;
  bool focus_title = false;  // the field has just been opened
};

void draw_chat_list(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, ChatListState& own);

/// Opens the field for a new title, for the menu and the key. Does nothing if `id` is 0 or no chat has it.
void begin_rename(const ChatView& chat, int64_t id, ChatListState& own);

}  // namespace headroom
