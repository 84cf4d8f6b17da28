// A conversation in the terminal: lines ─► turns. Owns the messages; the session owns the cache and finds out by itself
// what became of it.
#pragma once

#include <string>
#include <vector>

#include "app/line_reader.h"
#include "app/streams.h"
#include "engine/run/model.h"
#include "engine/run/session.h"

namespace headroom {

/// Runs until the input ends or /quit. Errors of a turn are shown; the conversation goes on without that turn.
void chat(const Model& model, Session& session, const TurnOptions& turn, const std::string& system, Streams& io);

}  // namespace headroom
