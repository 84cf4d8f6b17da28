// The engine process and its stream. See engine_link.h. Two threads, so that neither side ever waits for the other: one
// reads and verifies, one writes what is queued.
#include "app/desktop/engine_link.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "app/format.h"
#include "engine/base/error.h"
#include "engine/base/platform/fd_io.h"
#include "engine/base/platform/process.h"

namespace headroom {
namespace {

constexpr size_t read_bytes = 64 << 10;
// Limit of received events that were not taken yet. Beyond it the engine's writes block, and the engine sends fewer
// snapshots.
constexpr size_t max_waiting_bytes = 256 << 20;
// Limit of commands that the engine has not read yet. Beyond it the engine is treated as hung.
constexpr size_t max_unsent_bytes = 256 << 20;
constexpr int settle_ms = 300;      // after the last event
constexpr int exit_wait_ms = 2000;  // from the end of its stream to the end of the process, at most
constexpr int exit_step_ms = 50;

}  // namespace

struct EngineLink::Impl {
  Impl(const std::string& command, std::function<void()> on_wake)
      : wake(std::move(on_wake)),
        process(command.empty() ? ChildProcess::start({program_path(), "engine"})
                                : ChildProcess::start_shell(command)) {
    reader = std::thread([this] { read_until_end(); });
    writer = std::thread([this] { write_until_end(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      is_closing = true;
    }
    changed.notify_all();
    stop.wake();
    reader.join();
    writer.join();  // afterwards the destructor of `process` kills it
  }

  // --- reading

  void read_until_end() {
    std::string sentence;
    try {
      read_events();
      if (frames.n_pending() > 0) sentence = "its stream broke off in the middle of a message; ";
    } catch (const std::exception& error) {  // includes bad_alloc
      sentence = std::string("it sent something that cannot be used: ") + error.what() + "; ";
      process.kill();
    }
    sentence += how_process_ended();
    {
      const std::lock_guard lock(mutex);
      how = sentence;
    }
    tell();
  }

  void read_events() {
    std::vector<std::byte> buffer(read_bytes);
    bool is_settled = true;
    while (true) {
      if (!wait_for_room()) return;
      if (!wait_readable(process.output(), is_settled ? no_timeout : settle_ms, &stop)) {
        if (is_stopped()) return;
        // Wakes the window once more for work that waits for a pause, such as storing a piece of an answer.
        is_settled = true;
        tell();
        continue;
      }
      const size_t n = read_some(process.output(), buffer);
      if (n == 0) return;
      frames.push(std::span(buffer).first(n));
      take_frames();
      is_settled = false;
      tell();
    }
  }

  void take_frames() {
    for (auto bytes = frames.next(); !bytes.empty(); bytes = frames.next()) {
      ReceivedEvent event({bytes.begin(), bytes.end()});
      const std::lock_guard lock(mutex);
      waiting_bytes += event.bytes().size();
      events.push_back(std::move(event));
    }
  }

  bool wait_for_room() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return is_closing || waiting_bytes <= max_waiting_bytes; });
    return !is_closing;
  }

  bool is_stopped() {
    const std::lock_guard lock(mutex);
    return is_closing;
  }

  void tell() const {
    if (wake) wake();
  }

  std::string how_process_ended() {
    bool has_ended = false;
    for (int waited_ms = 0; !has_ended && waited_ms < exit_wait_ms && !is_stopped(); waited_ms += exit_step_ms)
      has_ended = process.wait(exit_step_ms);
    if (!has_ended) return "it closed its stream, and did not end by itself";
    const std::string words = last_line_of(process.error_tail());
    return "it " + process.how_it_ended() + (words.empty() ? "" : ": " + words);
  }

  static std::string last_line_of(const std::string& text) {
    const size_t last = text.find_last_not_of(" \t\r\n");
    if (last == std::string::npos) return "";
    const size_t before = text.find_last_of("\r\n", last);
    const size_t first = before == std::string::npos ? 0 : before + 1;
    return printable(shortened(std::string_view(text).substr(first, last + 1 - first), 300));
  }

  // --- writing

  void write_until_end() {
    block_broken_pipe_signal();
    std::vector<std::byte> bytes;
    while (next_unsent(bytes)) {
      std::span<const std::byte> left = bytes;
      while (!left.empty()) {
        const Written written = write_some(process.input(), left);
        left = left.subspan(written.n_bytes);
        // The reading thread reports why.
        if (written.outcome == WriteOutcome::reader_gone) return;
        if (written.outcome == WriteOutcome::would_wait && !wait_writable(process.input(), no_timeout, &stop)) return;
      }
    }
  }

  bool next_unsent(std::vector<std::byte>& bytes) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return is_closing || !unsent.empty(); });
    if (is_closing) return false;
    bytes = std::move(unsent.front());
    unsent.pop_front();
    unsent_bytes -= bytes.size();
    return true;
  }

  const std::function<void()> wake;
  ChildProcess process;
  Wakeup stop;
  FrameReader frames;  // used only by the reading thread
  std::mutex mutex;    // guards everything below
  std::condition_variable changed;
  std::vector<ReceivedEvent> events;
  size_t waiting_bytes = 0;
  std::deque<std::vector<std::byte>> unsent;
  size_t unsent_bytes = 0;
  std::string how;
  bool is_closing = false;
  std::thread reader, writer;
};

EngineLink::EngineLink(const std::string& command, std::function<void()> wake)
    : impl_(std::make_unique<Impl>(command, std::move(wake))) {}

EngineLink::~EngineLink() = default;

void EngineLink::send(const stream::CommandT& command) {
  std::vector<std::byte> bytes = pack(command);
  const std::lock_guard lock(impl_->mutex);
  if (impl_->unsent_bytes + bytes.size() > max_unsent_bytes)
    throw Error(ErrorKind::io, format("it has not read %zu bytes that were sent to it", impl_->unsent_bytes));
  impl_->unsent_bytes += bytes.size();
  impl_->unsent.push_back(std::move(bytes));
  impl_->changed.notify_all();
}

std::vector<ReceivedEvent> EngineLink::take() {
  const std::lock_guard lock(impl_->mutex);
  impl_->waiting_bytes = 0;
  impl_->changed.notify_all();
  return std::exchange(impl_->events, {});
}

std::string EngineLink::how_it_ended() {
  const std::lock_guard lock(impl_->mutex);
  return impl_->events.empty() ? impl_->how : "";
}

int EngineLink::process_id() const {
  return impl_->process.id();
}

}  // namespace headroom
