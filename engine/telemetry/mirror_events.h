// A Mirror ─► events that give another Mirror the same state. They are the beginning of a recording that starts in the
// middle of a conversation.
#pragma once

#include <vector>

#include "engine/telemetry/mirror.h"
#include "engine/telemetry/stream.h"

namespace headroom {

/// Hello, Loaded, CacheRebuilt, and if there is a conversation, also TurnStarted, Tokens and the answer so far.
/// Sequence numbers start at 0. Every state of a Mirror can be described. Each later event is accepted by both Mirrors
/// or by neither. The history of counters is not included. The model must be open on the stream.
std::vector<stream::EventT> describe(const Mirror& mirror);

}  // namespace headroom
