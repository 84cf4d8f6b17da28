// The thread that writes the Event stream. See event_queue.h.
#include "engine/serve/event_queue.h"

#include <new>

#include "engine/base/error.h"

namespace headroom {
namespace {

// How long the destructor waits for a slow reader before the remaining events are dropped.
constexpr std::chrono::milliseconds last_words{500};

// Events are collected for this time, so that a token does not wake three threads while others compute the next one.
// The delay is invisible.
constexpr std::chrono::milliseconds gathering{20};

}  // namespace

EventQueue::EventQueue(int out_fd, std::function<void()> on_reader_gone)
    : out_fd_(out_fd), on_reader_gone_(std::move(on_reader_gone)), thread_([this] { run(); }) {}

EventQueue::~EventQueue() {
  {
    std::unique_lock lock(mutex_);
    is_closing_ = true;
    changed_.notify_all();
    closing_.notify_all();
    changed_.wait_for(lock, last_words, [&] { return is_done_; });
  }
  close_now_.wake();
  thread_.join();
}

void EventQueue::send(stream::EventBodyUnion body) {
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start_;
  const std::lock_guard lock(mutex_);
  if (is_done_) return;
  const bool is_snapshot = body.type == stream::EventBody::Snapshot;
  if (is_snapshot && snapshot_ != waiting_.end()) waiting_.erase(std::exchange(snapshot_, waiting_.end()));
  waiting_.push_back({time.count(), std::move(body)});
  if (is_snapshot) snapshot_ = std::prev(waiting_.end());
  changed_.notify_all();
}

bool EventQueue::take(Waiting& next) {
  std::unique_lock lock(mutex_);
  if (waiting_.empty()) closing_.wait_for(lock, gathering, [&] { return is_closing_; });
  changed_.wait(lock, [&] { return is_closing_ || !waiting_.empty(); });
  if (waiting_.empty()) return false;
  if (snapshot_ == waiting_.begin()) snapshot_ = waiting_.end();
  next = std::move(waiting_.front());
  waiting_.pop_front();
  return true;
}

bool EventQueue::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const Written written = write_some(out_fd_, bytes);
    if (written.outcome == WriteOutcome::reader_gone) return false;
    if (written.outcome == WriteOutcome::would_wait && !wait_writable(out_fd_, no_timeout, &close_now_)) return false;
    bytes = bytes.subspan(written.n_bytes);
  }
  return true;
}

bool EventQueue::write_event(Waiting next) {
  // The number is assigned only here, so that a dropped Snapshot leaves no gap.
  stream::EventT event;
  event.sequence = sequence_++;
  event.time_ms = next.time_ms;
  event.body = std::move(next.body);
  return write(pack(event));
}

void EventQueue::run() {
  block_broken_pipe_signal();
  try {
    Waiting next;
    while (take(next) && write_event(std::move(next))) next = {};
  } catch (const std::exception& error) {
    // If an event cannot be sent, the stream is unusable. It ends here, with the reason if possible.
    try {
      stream::FailureT failure;
      failure.message = std::string("the engine's stream ends: ") + error.what();
      Waiting last;
      last.body.Set(std::move(failure));
      --sequence_;
      write_event(std::move(last));
    } catch (const std::exception&) {
    }
  }
  bool is_closing = false;
  {
    const std::lock_guard lock(mutex_);
    is_done_ = true;
    is_closing = is_closing_;
    snapshot_ = waiting_.end();
    waiting_.clear();
    changed_.notify_all();
  }
  if (!is_closing) on_reader_gone_();
}

}  // namespace headroom
