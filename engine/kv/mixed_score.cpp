// Weighted shares, added up and handed out by two orders in turns. See mixed_score.h.
#include "engine/kv/mixed_score.h"

#include <algorithm>
#include <cassert>
#include <functional>

#include "engine/kv/expected_attention.h"

namespace headroom {
namespace {

/// Largest first; of equal values the earlier key.
std::vector<size_t> ordered(std::vector<size_t> keys, const std::vector<double>& by) {
  std::stable_sort(keys.begin(), keys.end(), [&](size_t a, size_t b) { return by[a] > by[b]; });
  return keys;
}

/// Both orders hold the same keys. Each place goes to the first of one of them that has none yet.
std::vector<size_t> in_turns(const std::vector<size_t>& received, const std::vector<size_t>& expected, size_t n_keys) {
  std::vector<bool> is_taken(n_keys);
  std::vector<size_t> order;
  auto next_received = received.begin(), next_expected = expected.begin();
  while (order.size() < received.size()) {
    auto& next = order.size() % mixed_places == mixed_places - 1 ? next_expected : next_received;
    while (is_taken[*next]) ++next;
    is_taken[*next] = true;
    order.push_back(*next);
  }
  return order;
}

}  // namespace

std::vector<float> mixed_scores(int32_t n_group, std::span<const float> expected, std::span<const float> all_rows,
                                std::span<const float> last_rows, std::span<const float> norms,
                                const std::vector<bool>& competes) {
  const size_t n = competes.size();
  assert(expected.size() == n && norms.size() == n);
  assert(all_rows.size() == static_cast<size_t>(n_group) * n && last_rows.size() == all_rows.size());
  const auto add = [&](double weight, const std::vector<double>& term, std::vector<double>& to) {
    double total = 0;
    for (size_t j = 0; j < n; ++j) total += competes[j] ? term[j] : 0;
    for (size_t j = 0; j < n && total > 0; ++j) to[j] += weight * term[j] / total;
  };
  const auto by_key = [&](std::span<const float> sums) {
    std::vector<double> term(n);
    for (size_t j = 0; j < n; ++j)
      for (size_t g = 0; g < static_cast<size_t>(n_group); ++g) term[j] += double{sums[g * n + j]} * norms[j];
    return term;
  };
  const std::vector<double> promised(expected.begin(), expected.end());
  std::vector<double> received(n);
  add(mixed_all_rows, by_key(all_rows), received);
  add(mixed_last_rows, by_key(last_rows), received);
  std::vector<double> mixed = received;
  add(mixed_expected, promised, mixed);

  std::vector<size_t> keys;
  std::vector<double> sums;
  for (size_t j = 0; j < n; ++j) {
    if (!competes[j]) continue;
    keys.push_back(j);
    sums.push_back(mixed[j]);
  }
  std::stable_sort(sums.begin(), sums.end(), std::greater<>());
  const std::vector<size_t> order = in_turns(ordered(keys, received), ordered(keys, promised), n);
  for (size_t i = 0; i < order.size(); ++i) mixed[order[i]] = sums[i];

  std::vector<float> scores;
  for (const double share : mixed) scores.push_back(static_cast<float>(share * n_expected_rows * n_group));
  return scores;
}

}  // namespace headroom
