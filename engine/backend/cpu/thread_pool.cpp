// Starting, waking and waiting of the CPU backend's threads.
// A wait spins first, since the next run of a decode step mostly follows within microseconds, and then sleeps on a
// futex (std::atomic::wait).
#include "engine/backend/cpu/thread_pool.h"

#include <cassert>
#include <chrono>

namespace headroom {
namespace {

constexpr std::chrono::microseconds spin_time{50};

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Returns once value is no longer `old`, with acquire ordering.
void wait_while_equal(const std::atomic<uint32_t>& value, uint32_t old) {
  constexpr int pauses_between_clock_reads = 32;
  const auto deadline = std::chrono::steady_clock::now() + spin_time;
  do {
    for (int i = 0; i < pauses_between_clock_reads; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      pause_briefly();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int n_threads) : n_threads_(n_threads) {
  assert(n_threads >= 1);
  threads_.reserve(static_cast<size_t>(n_threads - 1));
  for (int thread = 1; thread < n_threads; ++thread) threads_.emplace_back([this, thread] { work(thread); });
}

ThreadPool::~ThreadPool() {
  stopping_.store(true, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::run_job(Job job) {
  job_ = job;
  n_busy_.store(static_cast<uint32_t>(n_threads_ - 1), std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  job.call(job.context, 0, n_threads_);
  for (;;) {
    const uint32_t n_busy = n_busy_.load(std::memory_order_acquire);
    if (n_busy == 0) return;
    wait_while_equal(n_busy_, n_busy);
  }
}

void ThreadPool::work(int thread) {
  uint32_t seen_epoch = 0;
  for (;;) {
    // One run at a time: the epoch moves by one and not again before this thread has finished the run.
    wait_while_equal(epoch_, seen_epoch);
    ++seen_epoch;
    if (stopping_.load(std::memory_order_relaxed)) return;
    job_.call(job_.context, thread, n_threads_);
    if (n_busy_.fetch_sub(1, std::memory_order_release) == 1) n_busy_.notify_one();
  }
}

}  // namespace headroom
