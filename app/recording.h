// Turns of a session in this process ─► a trace file, if one was asked for (`--trace`). Stands between the commands and
// the session; without a file it only forwards. A full disk ends the recording but not the turn.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/console.h"
#include "engine/run/model.h"
#include "engine/run/prompt.h"
#include "engine/run/session.h"

namespace headroom {

class Recording {
 public:
  /// path: the file to create; if empty, nothing is recorded. Throws Error if the file exists or cannot be created. The
  /// other arguments must outlive this object.
  Recording(const std::optional<std::string>& path, const Model& model, Session& session, Console& io);
  /// Writes the end of the trace and closes the file.
  ~Recording();

  // Same as in Session.
  TurnResult run_turn(const std::vector<ChatMessage>& messages, const TurnOptions& options, TurnObserver& observer);
  TurnResult run_raw(const std::string& text, bool allow_control, const TurnOptions& options, TurnObserver& observer);
  bool undo_turn();
  void clear();

 private:
  struct Trace;
  const Model& model_;
  Session& session_;
  std::unique_ptr<Trace> trace_;
};

}  // namespace headroom
