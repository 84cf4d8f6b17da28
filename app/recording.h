// Turns of a session in process, as a trace file where one was asked for (`--trace`). Stands between the commands and
// the session: without a file it only passes on. A disk that is full ends the recording and not the turn.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/streams.h"
#include "engine/run/model.h"
#include "engine/run/prompt.h"
#include "engine/run/session.h"

namespace headroom {

class Recording {
 public:
  /// path: of the file to create; nothing: no recording. Throws Error where the file exists or cannot be created. All
  /// of the others must outlive this.
  Recording(const std::optional<std::string>& path, const Model& model, Session& session, Streams& io);
  /// Closes the file in order.
  ~Recording();

  // As Session's.
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
