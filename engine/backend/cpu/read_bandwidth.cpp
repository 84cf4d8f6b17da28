// How fast this machine reads memory: what a stage's bytes per second are held against.
#include <algorithm>
#include <chrono>
#include <vector>

#include "engine/backend/cpu/operations.h"

namespace headroom {

double measure_read_gb_per_s(ThreadPool& pool) {
  constexpr size_t n_words = size_t{16} << 20;  // 128 MiB, more than a cache holds
  constexpr int64_t chunk_words = 64 << 10;
  constexpr int n_rounds = 8;
  const std::vector<uint64_t> words(n_words, 1);
  std::vector<uint64_t> sums(static_cast<size_t>(pool.n_threads()) * 8);  // a cache line per thread
  double best = 0;
  for (int i = 0; i < n_rounds; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    pool.parallel_for(static_cast<int64_t>(n_words), chunk_words, [&](int64_t first, int64_t end, int thread) {
      uint64_t sum = 0;
      for (int64_t w = first; w < end; ++w) sum += words[static_cast<size_t>(w)];
      sums[static_cast<size_t>(thread) * 8] += sum;
    });
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best = std::max(best, static_cast<double>(n_words * sizeof(uint64_t)) / seconds / 1e9);
  }
  return best;
}

}  // namespace headroom
