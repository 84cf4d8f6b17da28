// Event bodies from any thread ─► numbered messages on a descriptor. A separate thread writes them, so that senders
// never wait for the reader. A Snapshot that is still in the queue is dropped when the next one is sent; no other event
// is dropped.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include "engine/base/platform/fd_io.h"
#include "engine/telemetry/stream.h"

namespace headroom {

class EventQueue {
 public:
  /// on_reader_gone: called once from the writing thread if the reader is gone or writing fails.
  EventQueue(int out_fd, std::function<void()> on_reader_gone);
  /// Waits until everything is written, but at most 500 ms.
  ~EventQueue();
  void send(stream::EventBodyUnion body);

 private:
  struct Waiting {
    double time_ms = 0;
    stream::EventBodyUnion body;
  };

  void run();
  bool take(Waiting& next);
  bool write(std::span<const std::byte> bytes);
  bool write_event(Waiting next);

  const int out_fd_;
  const std::function<void()> on_reader_gone_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  Wakeup close_now_;
  uint64_t sequence_ = 0;  // of the next event; used only by the writing thread

  std::mutex mutex_;
  std::condition_variable changed_, closing_;
  std::list<Waiting> waiting_;
  std::list<Waiting>::iterator snapshot_ = waiting_.end();  // the Snapshot in the queue, or end()
  bool is_closing_ = false;
  bool is_done_ = false;
  std::thread thread_;
};

}  // namespace headroom
