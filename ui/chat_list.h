// The chats, newest first: open, begin, rename in place, delete. A title is a stranger's text of any length; it is
// shown on one line.
#pragma once

#include <cstdint>
#include <string>

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

struct ChatListState {
  int64_t renamed_chat = 0;  // in place; 0: none
  std::string new_title;
  bool focus_title = false;  // the field has just been opened
};

void draw_chat_list(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, ChatListState& own);

/// Opens the field for a new title, as the menu and the key do; 0 or a chat that is not there does nothing.
void begin_rename(const ChatView& chat, int64_t id, ChatListState& own);

}  // namespace headroom
