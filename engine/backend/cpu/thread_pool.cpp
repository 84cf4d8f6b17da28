// Starting, waking and waiting of the CPU backend's threads.
// A run is open while the caller works on it; a started thread that comes in time enters and is waited for, one that
// comes late finds the gate shut. A wait spins first, since the next run of a decode step mostly follows within
// microseconds, and then sleeps on a futex (std::atomic::wait).
#include "engine/backend/cpu/thread_pool.h"

#include <cassert>
#include <chrono>

namespace headroom {
namespace {

constexpr std::chrono::microseconds spin_time{50};
constexpr uint32_t gate_shut = 1u << 31;

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

ThreadPool::ThreadPool(int n_threads) : n_threads_(n_threads), gate_(gate_shut) {
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

void ThreadPool::run(Job job) {
  job_ = job;
  gate_.store(0, std::memory_order_release);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  job.call(job.context, 0);
  uint32_t gate = gate_.fetch_or(gate_shut, std::memory_order_acq_rel) | gate_shut;
  while (gate != gate_shut) {
    wait_while_equal(gate_, gate);
    gate = gate_.load(std::memory_order_acquire);
  }
}

void ThreadPool::work(int thread) {
  uint32_t seen_epoch = 0;
  for (;;) {
    wait_while_equal(epoch_, seen_epoch);
    if (stopping_.load(std::memory_order_relaxed)) return;
    // Before the gate: whoever sees an epoch and then a shut gate has missed that run, not a later one.
    seen_epoch = epoch_.load(std::memory_order_acquire);
    uint32_t gate = gate_.load(std::memory_order_relaxed);
    bool is_inside = false;
    while (!is_inside && (gate & gate_shut) == 0) {
      is_inside = gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acquire, std::memory_order_relaxed);
    }
    if (!is_inside) continue;
    job_.call(job_.context, thread);
    if (gate_.fetch_sub(1, std::memory_order_acq_rel) == (gate_shut | 1)) gate_.notify_one();
  }
}

}  // namespace headroom
