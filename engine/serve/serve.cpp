// Reads and verifies commands and passes them to the model's thread. See serve.h.
#include "engine/serve/serve.h"

#include <new>

#include "engine/base/error.h"
#include "engine/base/platform/fd_io.h"
#include "engine/serve/event_queue.h"
#include "engine/serve/model_thread.h"
#include "engine/serve/session_events.h"

namespace headroom {
namespace {

stream::EventBodyUnion failure_event(const std::string& sentence) {
  stream::FailureT failure;
  failure.message = sentence;
  stream::EventBodyUnion body;
  body.Set(std::move(failure));
  return body;
}

/// Reads until Quit, the end of the input, or the wakeup. Throws Error if the input is not a stream of commands.
void read_commands(int in_fd, const Wakeup& reader_gone, ModelThread& model) {
  FrameReader frames;
  std::vector<std::byte> buffer(size_t{64} << 10);
  while (wait_readable(in_fd, no_timeout, &reader_gone)) {
    const size_t n_read = read_some(in_fd, buffer);
    if (n_read == 0) {
      if (frames.n_pending() > 0)
        throw Error("the input ended within a command, after " + std::to_string(frames.n_pending()) + " bytes of it");
      return;
    }
    frames.push(std::span(buffer).first(n_read));
    for (auto bytes = frames.next(); !bytes.empty(); bytes = frames.next()) {
      ReceivedCommand command({bytes.begin(), bytes.end()});
      if (command->body_type() == stream::CommandBody::Quit) return;
      model.take(std::move(command));
    }
  }
}

}  // namespace

std::string serve(int in_fd, int out_fd, const std::string& version) {
  std::string sentence;
  try {
    Wakeup reader_gone;
    EventQueue events(out_fd, [&] { reader_gone.wake(); });
    events.send(hello_event(version));
    ModelThread model([&](stream::EventBodyUnion body) { events.send(std::move(body)); });
    try {
      read_commands(in_fd, reader_gone, model);
    } catch (const std::bad_alloc&) {
      sentence = "the system has no memory left for this command";
    } catch (const std::exception& error) {
      sentence = std::string("the engine cannot read its input: ") + error.what();
    }
    if (!sentence.empty()) events.send(failure_event(sentence));
  } catch (const std::exception& error) {
    sentence = error.what();
  }
  return sentence;
}

}  // namespace headroom
