// A conversation in the terminal: lines ─► turns. Owns the messages; the session owns the cache and finds out by itself
// what became of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/line_reader.h"
#include "app/options.h"
#include "app/recording.h"
#include "app/streams.h"
#include "engine/run/model.h"
#include "engine/run/restartable_backend.h"
#include "engine/run/session.h"

namespace headroom {

/// Opens model and backend, then chats. cache: nothing: default_chat_config. trace: a file to record into.
void chat_in_terminal(const CommonOptions& common, const TemplateChoice& chat_template, const std::string& system,
                      const std::optional<CacheConfig>& cache, const TurnOptions& turn,
                      const std::optional<std::string>& trace, Streams& io);

/// Runs until the input ends or /quit. Errors of a turn are shown; the conversation goes on without that turn.
/// recording: of this session; its turns go through it. backend: the session's; it is replaced where it fails.
void chat(const Model& model, Session& session, Recording& recording, RestartableBackend& backend,
          const TurnOptions& turn, const std::string& system, Streams& io);

}  // namespace headroom
