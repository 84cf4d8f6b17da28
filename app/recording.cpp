// A session's events ─► a trace file. See recording.h.
#include "app/recording.h"

#include <chrono>
#include <ostream>

#include "app/format.h"
#include "engine/base/error.h"
#include "engine/serve/session_events.h"
#include "engine/telemetry/trace.h"

namespace headroom {

struct Recording::Trace {
  TraceWriter writer;
  Console& io;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  uint64_t sequence = 0;
  bool has_failed = false;
  uint64_t n_turns = 0;
  std::optional<SessionEvents> events;

  Trace(const std::string& path, const Model& model, Session& session, Console& streams) : writer(path), io(streams) {
    const auto send = [this](stream::EventBodyUnion body) { write(std::move(body)); };
    write(hello_event(HEADROOM_VERSION));
    events.emplace(model, session, send);
    events->tell_loaded({});
  }

  ~Trace() {
    guard([&] { writer.close(); });
  }

  void write(stream::EventBodyUnion body) {
    if (has_failed) return;
    guard([&] {
      stream::EventT event;
      event.sequence = sequence++;
      event.time_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
      event.body = std::move(body);
      const std::vector<std::byte> packed = pack(event);
      const std::vector<std::byte> bytes(packed.begin() + sizeof(uint32_t), packed.end());
      writer.write(verify_event(bytes), bytes);
    });
  }

  /// The turn goes on even if the file fails.
  template <typename Part>
  void guard(Part part) {
    if (has_failed) return;
    try {
      part();
    } catch (const std::exception& error) {
      has_failed = true;
      io.err << "headroom: the recording ended: " << printable(error.what()) << std::endl;
    }
  }
};

Recording::Recording(const std::optional<std::string>& path, const Model& model, Session& session, Console& io)
    : model_(model), session_(session) {
  if (path) trace_ = std::make_unique<Trace>(*path, model, session, io);
}

Recording::~Recording() = default;

TurnResult Recording::run_turn(const std::vector<ChatMessage>& messages, const TurnOptions& options,
                               TurnObserver& observer) {
  if (!trace_) return session_.run_turn(messages, options, observer);
  return trace_->events->run_turn(++trace_->n_turns, messages, options, observer);
}

TurnResult Recording::run_raw(const std::string& text, bool allow_control, const TurnOptions& options,
                              TurnObserver& observer) {
  std::string note;
  std::vector<TokenId> ids = encode_raw(model_, text, allow_control, &note);
  TurnResult result = trace_ ? trace_->events->run_raw(++trace_->n_turns, text, std::move(ids), options, observer)
                             : session_.run_ids(std::move(ids), options, observer);
  if (result.stop_message.empty()) result.stop_message = note;
  return result;
}

bool Recording::undo_turn() {
  return trace_ ? trace_->events->undo_turn() : session_.undo_turn();
}

void Recording::clear() {
  if (trace_)
    trace_->events->clear();
  else
    session_.clear();
}

}  // namespace headroom
