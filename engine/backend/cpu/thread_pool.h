// The CPU backend's threads: runs one function on all of them and waits, some 250 times a token. Between two runs a
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

/// A fixed set of threads. The thread that calls run() is number 0 and takes part; n_threads - 1 more are started.
/// One run at a time, not from inside a run. What a run writes is visible to the caller after it.
class ThreadPool {
 public:
  explicit ThreadPool(int n_threads);  // at least 1
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const { return n_threads_; }

  /// Calls f(thread, n_threads) once on every thread, thread = 0 … n_threads - 1, and returns when all are done.
  /// f must not throw. With one thread this is a plain call.
  template <typename F>
  void run(F&& f) {
    if (n_threads_ == 1) {
      f(0, 1);
      return;
    }
    using Callable = std::remove_reference_t<F>;
    run_job({[](const void* context, int thread, int n_threads) {
               (*const_cast<Callable*>(static_cast<const Callable*>(context)))(thread, n_threads);
             },
             std::addressof(f)});
  }

  /// Calls f(begin, end, thread) for chunks that cover 0 … n_items - 1. A thread that is done takes the next chunk, so
  /// a slow core delays the rest by one chunk at most. Which thread gets which chunk is not determined.
  template <typename F>
  void parallel_for(int64_t n_items, int64_t chunk_items, F&& f) {
    if (n_items <= 0) return;
    if (n_threads_ == 1 || n_items <= chunk_items) {
      f(int64_t{0}, n_items, 0);
      return;
    }
    next_item_.store(0, std::memory_order_relaxed);
    run([&](int thread, int) {
      for (;;) {
        const int64_t begin = next_item_.fetch_add(chunk_items, std::memory_order_relaxed);
        if (begin >= n_items) return;
        f(begin, std::min(begin + chunk_items, n_items), thread);
      }
    });
  }

 private:
  struct Job {
    void (*call)(const void* context, int thread, int n_threads) = nullptr;
    const void* context = nullptr;
  };

  void run_job(Job job);
  void work(int thread);

  const int n_threads_;
  Job job_;  // written before epoch_ moves, read after
  // Each on its own cache line: the waiting side reads one while the other changes.
  alignas(64) std::atomic<uint32_t> epoch_{0};   // number of runs started
  alignas(64) std::atomic<uint32_t> n_busy_{0};  // started threads that have not finished this run
  alignas(64) std::atomic<int64_t> next_item_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
};

}  // namespace headroom
