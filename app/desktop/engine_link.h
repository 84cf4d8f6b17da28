// The engine process as the window sees it: commands in, verified events out, and in words how it ended. A thread of
// its own reads, so that the engine never waits for a frame; nothing here draws or knows a chat.
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

/// One verified event; the bytes live as long as this.
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
  /// `engine` where it is empty. wake: called from the reading thread whenever there is something to take, and once
  /// more a moment after the last event. Throws Error where the process cannot be started.
  EngineLink(const std::string& command, std::function<void()> wake);
  /// Ends the process, by force: it keeps nothing that could be lost.
  ~EngineLink();

  /// Never blocks. What cannot be written because the engine is gone is dropped, its end is reported; throws Error
  /// where the command is too long, or the engine has not read anything for too long.
  void send(const stream::CommandT& command);
  /// What arrived since the last call, in order.
  std::vector<ReceivedEvent> take();
  /// How the engine ended, in a sentence, once everything that it sent was taken: a crash, a signal, damaged bytes,
  /// its own last words. Empty while it lives.
  std::string how_it_ended();
  int process_id() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom
