// What a Mirror knows ─► the events that would tell it to another one: the beginning of a recording that starts in the
// middle of a conversation.
#pragma once

#include <vector>

#include "engine/telemetry/mirror.h"
#include "engine/telemetry/stream.h"

namespace headroom {

/// Hello, Loaded, CacheRebuilt, and where there is a conversation TurnStarted, Tokens and the answer so far. Sequence
/// numbers from 0. Whatever a Mirror has taken in can be told so, and what follows is taken in by both or by neither.
/// Counters over time before this moment are not in it. The model must be open on the stream.
std::vector<stream::EventT> describe(const Mirror& mirror);

}  // namespace headroom
