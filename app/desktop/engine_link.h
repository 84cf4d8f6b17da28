// The engine process as the window sees it: commands in, verified events out, and a sentence that says how it ended. A
// separate thread reads, so that the engine never waits for a frame. Draws nothing and knows no chat.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/telemetry/stream.h"

namespace headroom {

/// One verified event; owns its bytes.
class ReceivedEvent {
 public:
  explicit ReceivedEvent(std::vector<std::byte> bytes) : bytes_(std::move(bytes)), event_(&verify_event(bytes_)) {}
  ReceivedEvent(ReceivedEvent&&) = default;
  ReceivedEvent& operator=(ReceivedEvent&&) = default;
  const stream::Event& operator*() const { return *event_; }
  const stream::Event* operator->() const { return event_; }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
  const stream::Event* event_;
};

class EngineLink {
 public:
  /// Starts the engine: `command` through the shell (its standard streams carry the stream), or this program's own
  /// `engine` if it is empty. wake: called from the reading thread whenever take() has something, and once more a
  /// moment after the last event. Throws Error if the process cannot be started.
  EngineLink(const std::string& command, std::function<void()> wake);
  /// Kills the process, which holds no data that could be lost.
  ~EngineLink();

  /// Never blocks. If the engine has ended, the command is dropped and how_it_ended() reports the end. Throws Error if
  /// the command is too long, or too much is queued because the engine does not read.
  void send(const stream::CommandT& command);
  /// What arrived since the last call, in order.
  std::vector<ReceivedEvent> take();
  /// A sentence about how the engine ended, once all its events were taken: a crash, a signal, damaged bytes, its last
  /// output. Empty while it runs.
  std::string how_it_ended();
  int process_id() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom
