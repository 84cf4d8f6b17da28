// The messages of the transcript: what is in view of a column of any length. Part of ui/transcript.
#pragma once

#include "ui/transcript.h"

namespace headroom {

/// A scrolling child window of this height. It is the last item afterwards.
void draw_messages(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, TranscriptState& own,
                   float height);

/// Colours behind the bytes [begin, end) of a message that an active head still holds, and behind the token that is
/// pointed at; ascending, neighbours of one colour joined. Bytes of the message's content.
std::vector<ByteTint> token_tints(const Mirror& mirror, const MirrorMessage& message, size_t begin, size_t end,
                                  int32_t head, ImU32 head_color, int32_t lit_token, ImU32 lit_color);

}  // namespace headroom
