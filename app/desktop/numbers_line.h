// The numbers of a turn ─► the line under its answer.
#pragma once

#include <string>

#include "engine/telemetry/mirror.h"

namespace headroom {

/// "prompt 34 tokens (20 read, 152.1/s) · answer 120 tokens, 57.3/s · first token after 0.31 s · KV 3.20 of 8.80 MiB
/// (36 %)"
std::string numbers_line(const TurnNumbers& numbers);

/// The note about a stop reason under an answer; empty if the answer ended by itself.
std::string stop_note(const std::string& stop_reason, const std::string& message);

}  // namespace headroom
