// Budgets by bisection. See budget.h.
#include "engine/base/budget.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

#include "engine/base/error.h"
#include "engine/base/model_config.h"
#include "engine/base/page_layout.h"

namespace headroom {
namespace {

// Importance is measured as a loss and can be close to 0. It is raised to this fraction of the mean (the mean is 1).
constexpr double least_importance = 1e-3;
constexpr double least_share_of_keep = 0.4;  // every head may hold this part of keep, whatever its importance
constexpr double least_pooled_share = 0.2;

int32_t least_of(const HeadCapacity& room, double keep) {
  const auto floor = static_cast<int32_t>(std::lround(least_share_of_keep * keep * room.n_reach));
  return std::min(room.n_reach, std::max(floor, room.n_protected));
}

}  // namespace

std::vector<int32_t> shared_budgets(const CacheConfig& config, double keep, std::span<const HeadCapacity> rooms) {
  assert(config.head_importance.empty() || config.head_importance.size() == rooms.size());
  std::vector<double> lifts(rooms.size());  // beta * ln c_h
  for (size_t h = 0; h < config.head_importance.size(); ++h)
    lifts[h] = config.beta * std::log(std::max<double>(config.head_importance[h], least_importance));
  int64_t n_all = 0;
  for (const HeadCapacity& room : rooms) n_all += room.n_reach;
  const auto wanted = static_cast<int64_t>(std::llround(keep * static_cast<double>(n_all)));

  const auto share_at = [&](double x, size_t h) { return rooms[h].n_reach / (1 + std::exp(-(x + lifts[h]))); };
  const auto budget_at = [&](double x, size_t h) {
    const auto share = static_cast<int32_t>(share_at(x, h));  // rounded down
    return std::clamp(share, least_of(rooms[h], keep), rooms[h].n_reach);
  };
  const auto total_at = [&](double x) {
    int64_t total = 0;
    for (size_t h = 0; h < rooms.size(); ++h) total += budget_at(x, h);
    return total;
  };
  // Beyond these ends sigmoid is so close to 0 or 1 that no budget changes.
  double furthest = 0;
  for (const double lift : lifts) furthest = std::max(furthest, std::abs(lift));
  double low = -60 - furthest, high = 60 + furthest;
  for (int step = 0; step < 70; ++step) {
    const double middle = (low + high) / 2;
    (total_at(middle) <= wanted ? low : high) = middle;
  }
  std::vector<int32_t> budgets(rooms.size());
  for (size_t h = 0; h < rooms.size(); ++h) budgets[h] = budget_at(low, h);
  // Rounding down leaves some tokens over. They go to the heads with the largest fractional parts.
  int64_t left = wanted - std::accumulate(budgets.begin(), budgets.end(), int64_t{0});
  std::vector<size_t> order(rooms.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return share_at(low, a) - budgets[a] > share_at(low, b) - budgets[b]; });
  for (const size_t h : order)
    if (left > 0 && budgets[h] < rooms[h].n_reach) ++budgets[h], --left;
  return budgets;
}

int64_t budget_bytes(std::span<const int32_t> budgets, int64_t page_bytes) {
  int64_t n_pages = 0;
  for (const int32_t tokens : budgets) n_pages += tokens / page_tokens + 1;
  return n_pages * page_bytes;
}

int32_t HeadClaims::n_protected(const Protection& protection) const {
  const auto from = std::lower_bound(by_class.begin(), by_class.end(), protection.class_from);
  const auto n_by_class = static_cast<int32_t>(by_class.end() - from);
  return std::min(n_reach, n_first + n_by_class + std::min(n_last, protection.n_last));
}

Protection protection_in_bytes(std::span<const HeadClaims> heads, int64_t kv_budget_bytes, int64_t page_bytes) {
  std::vector<int32_t> steps{0};  // values of class_from; each step protects one position less
  for (const HeadClaims& head : heads)
    for (const int32_t position : head.by_class) steps.push_back(position + 1);
  std::sort(steps.begin(), steps.end());
  steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  const auto protection_at = [&](size_t step) {
    const size_t n_beyond = step < steps.size() ? 0 : step - steps.size() + 1;
    return Protection{.class_from = steps[std::min(step, steps.size() - 1)],
                      .n_last = n_last_of_answer - static_cast<int32_t>(n_beyond)};
  };
  std::vector<int32_t> tokens(heads.size());
  const auto fits = [&](const Protection& protection) {
    for (size_t h = 0; h < heads.size(); ++h) tokens[h] = heads[h].n_protected(protection);
    return budget_bytes(tokens, page_bytes) <= kv_budget_bytes;
  };
  size_t low = 0, high = steps.size() - 1 + static_cast<size_t>(n_last_of_answer - n_last_at_least);
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (fits(protection_at(middle)))
      high = middle;
    else
      low = middle + 1;
  }
  return protection_at(low);
}

int64_t least_budget_bytes(std::span<const int32_t> windows, int32_t n_kv_heads, int64_t page_bytes) {
  std::vector<int32_t> least;
  for (const int32_t window : windows)
    least.insert(least.end(), static_cast<size_t>(n_kv_heads),
                 reachable_tokens(n_first_tokens + n_last_at_least, window));
  return budget_bytes(least, page_bytes);
}

void check_budget_bytes(const CacheConfig& config, int64_t least_bytes) {
  if (config.kv_budget_bytes == 0 || config.kv_budget_bytes >= least_bytes) return;
  throw Error("the KV budget is " + std::to_string(config.kv_budget_bytes) + " bytes; expected at least " +
              std::to_string(least_bytes) + ", which the first " + std::to_string(n_first_tokens) + " and the last " +
              std::to_string(n_last_at_least) + " tokens need in every head");
}

std::vector<int32_t> shared_budgets_in_bytes(const CacheConfig& config, double keep,
                                             std::span<const HeadCapacity> rooms, int64_t page_bytes) {
  const auto fits = [&](const std::vector<int32_t>& budgets) {
    return budget_bytes(budgets, page_bytes) <= config.kv_budget_bytes;
  };
  std::vector<int32_t> best = shared_budgets(config, keep, rooms);
  if (fits(best)) return best;
  best = shared_budgets(config, 0, rooms);
  if (!fits(best))
    // If this happens while an answer is generated, it ends the turn as any out-of-memory error does.
    throw Error(ErrorKind::out_of_memory,
                "the KV budget is " + std::to_string(config.kv_budget_bytes) + " bytes; expected at least " +
                    std::to_string(budget_bytes(best, page_bytes)) + " for the protected tokens");
  double low = 0, high = keep;
  for (int step = 0; step < 24; ++step) {
    const double middle = (low + high) / 2;
    std::vector<int32_t> budgets = shared_budgets(config, middle, rooms);
    if (fits(budgets)) {
      low = middle;
      best = std::move(budgets);
    } else {
      high = middle;
    }
  }
  return best;
}

std::vector<int32_t> pooled_budgets(double keep, std::span<const HeadCapacity> rooms,
                                    std::span<const std::vector<float>> scores) {
  assert(scores.size() == rooms.size());
  struct Entry {
    float score;
    size_t head;
  };
  std::vector<int32_t> budgets(rooms.size());
  std::vector<Entry> pool;
  int64_t left = 0;
  for (size_t h = 0; h < rooms.size(); ++h) {
    std::vector<float> ranked = scores[h];
    std::sort(ranked.begin(), ranked.end(), std::greater<>());
    const auto floor = static_cast<int32_t>(least_pooled_share * keep * rooms[h].n_reach);
    budgets[h] = std::min(rooms[h].n_reach, std::max(floor, rooms[h].n_protected));
    for (size_t i = static_cast<size_t>(budgets[h] - std::min(budgets[h], rooms[h].n_protected)); i < ranked.size();
         ++i)
      pool.push_back({ranked[i], h});
    left += std::llround(keep * rooms[h].n_reach) - budgets[h];
  }
  const size_t n_best = std::min(pool.size(), static_cast<size_t>(std::max<int64_t>(left, 0)));
  std::stable_sort(pool.begin(), pool.end(), [](const Entry& a, const Entry& b) { return a.score > b.score; });
  for (size_t i = 0; i < n_best; ++i) ++budgets[pool[i].head];
  return budgets;
}

}  // namespace headroom
