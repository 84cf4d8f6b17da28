// A conversation in the terminal: lines ─► turns. Owns the messages. The session owns the cache and compares each new
// conversation with what the cache holds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/console.h"
#include "app/line_reader.h"
#include "app/options.h"
#include "app/recording.h"
#include "engine/run/model.h"
#include "engine/run/restartable_backend.h"
#include "engine/run/session.h"

namespace headroom {

/// Opens model and backend, then chats. cache: if empty, default_chat_config. trace: the file to record into.
void chat_in_terminal(const CommonOptions& common, const TemplateChoice& chat_template, const std::string& system,
                      const std::optional<CacheConfig>& cache, const TurnOptions& turn,
                      const std::optional<std::string>& trace, Console& io);

/// Runs until the input ends or /quit. An error of a turn is shown, and the conversation goes on without that turn.
/// recording: runs the turns of this session. backend: the session's; it is replaced if it fails.
void chat(const Model& model, Session& session, Recording& recording, RestartableBackend& backend,
          const TurnOptions& turn, const std::string& system, Console& io);

}  // namespace headroom
