// An engine behind a socket pair, as the window meets it: commands go in, verified events come out and are followed by
// a Mirror. Shared by the tests of serve().
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

  /// serve() on a thread; over a socket pair, or over two pipes. The Hello is taken.
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
  void close_input();   // what the engine reads ends
  void close_output();  // nobody reads what it says

  /// The next event, applied to the mirror; fails the test where none comes within ten seconds.
  const stream::Event& next();
  /// Up to the first event of this kind; `seen` gets each one after the mirror took it in.
  const stream::Event& until(stream::EventBody type, const Seen& seen = {});
  /// No more events come: the engine has ended. Gives what serve() said.
  std::string ended();
  /// Milliseconds from now to its end.
  double ms_to_end();

  const stream::Loaded& load(const std::string& path, const std::string& config = "paper");
  static stream::PromptT prompt(uint64_t turn_id, const std::vector<ChatMessage>& messages, int32_t max_tokens);
  /// At temperature 0.
  static stream::PromptT cold_prompt(uint64_t turn_id, const std::string& text, int32_t max_tokens);

  Mirror mirror;
  std::vector<stream::EventBody> types;  // of all events that came

 private:
  Descriptor to_engine_, from_engine_;  // ours
  Descriptor in_, out_;                 // the engine's
  FrameReader frames_;
  std::vector<std::byte> message_;
  std::string result_;
  std::thread thread_;
};

}  // namespace headroom::test
