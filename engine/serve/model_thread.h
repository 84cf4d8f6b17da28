// Commands ─► the model, on a thread of its own: opens and closes it, runs turns one after the other, and tells what
// came of them in events. What must not wait (Stop, CancelLoad) takes effect from the thread that brings it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
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

/// One verified command with the bytes that it points into. Throws Error.
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
  /// send: safe from several threads, never waits.
  explicit ModelThread(SendEvent send);
  /// Stops what runs.
  ~ModelThread();
  /// From one thread; any command but Quit. A Prompt while another one waits or runs is refused; Load and Clear stop
  /// it.
  void take(ReceivedCommand command);

 private:
  struct Work {
    ReceivedCommand command;
    uint64_t turn = 0;  // number of the last turn up to this one
    uint64_t load = 0;  // of the last load
  };

  void run();
  std::optional<Work> next_work();
  void execute(const Work& work);
  /// A model that a session can be made of, without one: what takes a device's memory comes last.
  struct Opened {
    std::unique_ptr<Model> model;
    BackendChoice choice;
    std::unique_ptr<RestartableBackend> backend;
    SessionOptions options;
  };
  void load(const stream::Load& command, uint64_t number);
  Opened look_at(const stream::Load& command, uint64_t number);
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

  // Of the model's thread.
  Opened opened_;
  std::optional<Session> session_;
  std::optional<SessionEvents> events_;
  uint64_t running_turn_ = 0;

  // Of the thread that brings commands.
  uint64_t n_turns_ = 0;
  uint64_t n_loads_ = 0;
  uint64_t last_prompt_ = 0;

  // Turns and loads are numbered from 1 in the order in which they came.
  std::atomic<uint64_t> finished_turns_{0};
  std::atomic<uint64_t> stopped_turns_{0};    // up to this one
  std::atomic<uint64_t> cancelled_loads_{0};  // up to this one

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> waiting_;
  bool is_closing_ = false;
  std::thread thread_;
};

}  // namespace headroom
