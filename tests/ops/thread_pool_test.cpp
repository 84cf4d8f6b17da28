// The CPU backend's threads: each item runs once, its effects are visible afterwards, and idle threads sleep.
#include "engine/backend/cpu/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <ctime>
#include <thread>
#include <vector>

namespace headroom::thread_pool_test {
namespace {

TEST_CASE("parallel_for calls every item exactly once, in whole chunks, whatever the sizes") {
  for (int n_threads : {1, 2, 3, 7}) {
    ThreadPool pool(n_threads);
    CHECK(pool.n_threads() == n_threads);
    for (int64_t n_items : {0, 1, 2, 5, 64, 1000}) {
      for (int64_t chunk : {1, 3, 64, 5000}) {
        std::vector<std::atomic<int>> calls(static_cast<size_t>(n_items));
        std::atomic<bool> is_sound{true};
        pool.parallel_for(n_items, chunk, [&](int64_t begin, int64_t end, int thread) {
          if (begin >= end || end > n_items || thread < 0 || thread >= n_threads) is_sound = false;
          for (int64_t i = begin; i < end; ++i) calls[static_cast<size_t>(i)] += 1;
        });
        CHECK(is_sound);
        CHECK(std::all_of(calls.begin(), calls.end(), [](const auto& n) { return n == 1; }));
      }
    }
  }
}

TEST_CASE("what the chunks write is there when parallel_for returns, ten thousand times in a row") {
  ThreadPool pool(3);
  std::vector<int64_t> values(12);  // not atomic: the pool orders the accesses
  for (int64_t round = 1; round <= 10000; ++round) {
    pool.parallel_for(12, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) values[static_cast<size_t>(i)] += i;
    });
    if (values[11] != 11 * round || values[5] != 5 * round) FAIL("lost in round " << round);
  }
  CHECK(values[11] == 110000);
}

TEST_CASE("threads that are inside at the same time have different numbers") {
  ThreadPool pool(4);
  std::vector<std::atomic<int>> inside(4);
  std::atomic<bool> is_sound{true};
  for (int round = 0; round < 200; ++round) {
    pool.parallel_for(16, 1, [&](int64_t, int64_t, int thread) {
      if (inside[static_cast<size_t>(thread)].fetch_add(1) != 0) is_sound = false;
      std::this_thread::yield();
      inside[static_cast<size_t>(thread)].fetch_sub(1);
    });
  }
  CHECK(is_sound);
}

TEST_CASE("more than one thread takes part in long work") {
  ThreadPool pool(2);
  std::atomic<int> helped{0};
  // Some systems start a sleeping thread late: the first chunk waits until the other thread has started.
  pool.parallel_for(2, 1, [&](int64_t, int64_t, int thread) {
    helped |= 1 << thread;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (helped != 3 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  });
  CHECK(helped == 3);
}

TEST_CASE("a pool with nothing to do uses no processor time") {
  ThreadPool pool(4);
  pool.parallel_for(8, 1, [](int64_t, int64_t, int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC < 0.02);
}

}  // namespace
}  // namespace headroom::thread_pool_test
