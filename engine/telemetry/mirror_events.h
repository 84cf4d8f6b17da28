// What a Mirror knows ─► the events that would tell it to another one: the beginning of a recording that starts in the
// middle of a conversation.
#pragma once

#include <vector>

#include "engine/telemetry/mirror.h"
#include "engine/telemetry/stream.h"

namespace headroom {

/// Hello, Loaded, and where there is a conversation TurnStarted, Tokens, CacheRebuilt and the answer so far. Sequence
/// numbers from 0. Counters over time before this moment are not in it. The model must be open.
std::vector<stream::EventT> describe(const Mirror& mirror);

}  // namespace headroom
