// Draws the messages of the transcript: the part in view of a column of any length. Part of ui/transcript.
#pragma once

#include "ui/transcript.h"

namespace headroom {

/// Draws a scrolling child window of this height, which is ImGui's last item afterwards.
void draw_messages(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, TranscriptState& own,
                   float height);

/// Tints for the bytes [begin, end) of the message's content: head_color behind the tokens that `head` holds, lit_color
/// behind lit_token. They are ascending, and neighbours of one colour are joined.
std::vector<ByteTint> token_tints(const Mirror& mirror, const MirrorMessage& message, size_t begin, size_t end,
                                  int32_t head, ImU32 head_color, int32_t lit_token, ImU32 lit_color);

}  // namespace headroom
