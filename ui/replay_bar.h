// The controls of a recording: play, step, scrub, speed. They replace the composer of a live chat.
#pragma once

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

/// chat.replay must be set. Takes two lines of the current window.
void draw_replay_bar(const Mirror& mirror, const ChatView& chat, Actions& actions);

}  // namespace headroom
