// The CPU backend's threads: share out the chunks of one loop after the other, some 250 a token. Between two loops a
// thread spins for a moment and then sleeps in the kernel, so that an idle program uses no processor time.
// Knows nothing of what it runs.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace headroom {

/// A fixed set of threads. The one that calls parallel_for is number 0 and takes part; n_threads - 1 more are started.
/// A thread that the system has not scheduled in time is not waited for: whoever is there does the work.
class ThreadPool {
 public:
  explicit ThreadPool(int n_threads);  // at least 1
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const { return n_threads_; }

  /// Calls f(begin, end, thread) for chunks that cover 0 … n_items - 1, and returns when all are done; their effects
  /// are then visible to the caller. A thread that is done takes the next chunk, so a slow core delays the rest by one
  /// chunk at most. Which thread (0 … n_threads - 1) gets which chunk is not determined; one chunk is all of them where
  /// there is one thread or nothing to share. f must not throw and not call parallel_for. One caller at a time.
  template <typename F>
  void parallel_for(int64_t n_items, int64_t chunk_items, F&& f) {
    if (n_items <= 0) return;
    if (n_threads_ == 1 || n_items <= chunk_items) {
      f(int64_t{0}, n_items, 0);
      return;
    }
    next_item_.store(0, std::memory_order_relaxed);
    auto take_chunks = [&](int thread) {
      for (;;) {
        const int64_t begin = next_item_.fetch_add(chunk_items, std::memory_order_relaxed);
        if (begin >= n_items) return;
        f(begin, std::min(begin + chunk_items, n_items), thread);
      }
    };
    using TakeChunks = decltype(take_chunks);
    run({[](void* context, int thread) { (*static_cast<TakeChunks*>(context))(thread); }, &take_chunks});
  }

 private:
  struct Job {
    void (*call)(void* context, int thread) = nullptr;
    void* context = nullptr;
  };

  void run(Job job);
  void work(int thread);

  const int n_threads_;
  Job job_;  // written while the gate is shut and nobody is inside
  std::atomic<bool> stopping_{false};
  // Each on its own cache line: one side reads while the other changes its own.
  alignas(64) std::atomic<uint32_t> epoch_{0};  // counts runs; what idle threads wait for
  alignas(64) std::atomic<uint32_t> gate_;      // started threads inside the run, and whether more may enter
  alignas(64) std::atomic<int64_t> next_item_{0};
  std::vector<std::thread> threads_;
};

}  // namespace headroom
