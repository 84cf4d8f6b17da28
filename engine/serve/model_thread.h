// Commands ─► the model, on a separate thread: opens and closes it, runs one turn after the other, and sends the
// results as events. Stop and CancelLoad must not wait, so they take effect on the calling thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/run/model.h"
#include "engine/run/restartable_backend.h"
#include "engine/run/session.h"
#include "engine/serve/session_events.h"
#include "engine/telemetry/stream.h"

namespace headroom {

/// One verified command with the bytes that it points into. The constructor throws Error for an invalid command.
class ReceivedCommand {
 public:
  explicit ReceivedCommand(std::vector<std::byte> bytes)
      : bytes_(std::move(bytes)), command_(&verify_command(bytes_)) {}
  ReceivedCommand(ReceivedCommand&&) = default;
  ReceivedCommand& operator=(ReceivedCommand&&) = default;
  const stream::Command* operator->() const { return command_; }

 private:
  std::vector<std::byte> bytes_;
  const stream::Command* command_;
};

class ModelThread {
 public:
  /// send: is called from several threads and must not block.
  explicit ModelThread(SendEvent send);
  /// Stops the running turn or load.
  ~ModelThread();
  /// Handles any command except Quit; must always be called from the same thread. A Prompt is refused while another one
  /// waits or runs. Clear stops it. A Load stops it once the new file and the options are known to be valid.
  void take(ReceivedCommand command);

 private:
  /// A model ready for a session, but without one: the session is created last, because it needs device memory.
  struct Opened {
    std::unique_ptr<Model> model;
    BackendChoice choice;
    std::unique_ptr<RestartableBackend> backend;
    SessionOptions options;
  };
  /// The result of checking a Load; `failed` says why the Load is refused.
  struct Look {
    Opened opened;
    std::optional<stream::LoadFailedT> failed;
  };
  struct Work {
    ReceivedCommand command;
    uint64_t turn = 0;                                    // number of turns received so far, this one included
    uint64_t load = 0;                                    // number of loads received so far, this one included
    std::shared_future<std::shared_ptr<Look>> look = {};  // Load only; a separate thread sets it, also during a turn
  };

  void run();
  std::optional<Work> next_work();
  void execute(const Work& work);
  void load(const Work& work);
  Look look_at(const stream::Load& command, uint64_t number);
  Opened open_without_backend(const stream::Load& command, uint64_t number);
  void begin_stage(const char* stage, double fraction, uint64_t number);
  void tell_refused_loads();
  bool stop_requested();
  void begin_session();
  bool another_load_waits();
  void tell_progress(const char* stage, double fraction);
  void prompt(const stream::Prompt& command);
  void set_config(const stream::SetConfig& command);
  void count(const stream::Count& command);
  void start_events();
  void recover_if_device_failed(const std::exception& error);
  void close_model();
  void finish_turn_with(stream::EventBodyUnion body);

  SendEvent send_;

  // Used only by the model's thread.
  Opened opened_;
  std::optional<Session> session_;
  std::optional<SessionEvents> events_;
  uint64_t running_turn_ = 0;

  // Used only by the thread that calls take().
  uint64_t n_turns_ = 0;
  uint64_t n_loads_ = 0;
  uint64_t last_prompt_ = 0;

  // Turns and loads are numbered from 1 in the order in which they arrive.
  std::atomic<uint64_t> finished_turns_{0};   // turns up to this number have finished
  std::atomic<uint64_t> stopped_turns_{0};    // turns up to this number have to stop
  std::atomic<uint64_t> cancelled_loads_{0};  // loads up to this number are cancelled
  std::atomic<int> n_refused_loads_{0};       // refused loads that are not reported yet

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> waiting_;
  bool is_closing_ = false;
  std::thread thread_;
};

}  // namespace headroom
