// An engine behind a socket pair or pipes, as the window has it: commands go in, verified events come out, and a Mirror
// follows them. The tests of serve() share it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/platform/fd_io.h"
#include "engine/run/session.h"
#include "engine/telemetry/mirror.h"
#include "engine/telemetry/stream.h"
#include "tests/support/tiny_model.h"

namespace headroom::test {

/// A tiny model's file, removed at the end.
class TinyModelFile {
 public:
  explicit TinyModelFile(const TinyModelOptions& options) : TinyModelFile(make_tiny_model(options)) {}
  explicit TinyModelFile(const GgufWriter& writer);
  ~TinyModelFile();
  TinyModelFile(const TinyModelFile&) = delete;
  TinyModelFile& operator=(const TinyModelFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// A model that, at temperature 0, never ends its turn.
GgufWriter make_endless_model(const TinyModelOptions& options);

class ServedEngine {
 public:
  using Seen = std::function<void(const stream::Event&)>;

  /// Starts serve() on a thread, over a socket pair or two pipes, and receives its Hello.
  enum class Carrier { socket_pair, pipes };
  explicit ServedEngine(Carrier carrier = Carrier::socket_pair);
  ~ServedEngine();

  template <typename Body>
  void send(Body body) {
    stream::CommandT command;
    command.body.Set(std::move(body));
    send_bytes(pack(command));
  }
  void send_bytes(std::span<const std::byte> bytes);
  void close_input();   // ends the engine's input
  void close_output();  // stops reading the engine's output

  /// The next event, applied to the mirror; fails the test if none comes within ten seconds.
  const stream::Event& next();
  /// Receives events up to the first of this type. Calls `seen` for each one after the mirror applied it.
  const stream::Event& until(stream::EventBody type, const Seen& seen = {});
  /// Waits until the engine has ended, expects no more events, and returns the result of serve().
  std::string ended();
  /// Milliseconds from now to its end.
  double ms_to_end();

  const stream::Loaded& load(const std::string& path, const std::string& config = "paper");
  static stream::PromptT prompt(uint64_t turn_id, const std::vector<ChatMessage>& messages, int32_t max_tokens);
  /// A prompt at temperature 0.
  static stream::PromptT cold_prompt(uint64_t turn_id, const std::string& text, int32_t max_tokens);

  Mirror mirror;
  std::vector<stream::EventBody> types;  // of all received events

 private:
  Descriptor to_engine_, from_engine_;  // ours
  Descriptor in_, out_;                 // the engine's
  FrameReader frames_;
  std::vector<std::byte> message_;
  std::string result_;
  std::thread thread_;
};

}  // namespace headroom::test
