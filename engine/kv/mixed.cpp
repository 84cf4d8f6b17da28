// Weighted shares, added up. See mixed.h.
#include "engine/kv/mixed.h"

#include <cassert>

#include "engine/kv/expected.h"

namespace headroom {

std::vector<float> mixed_scores(int32_t n_group, std::span<const float> expected, std::span<const float> all_rows,
                                std::span<const float> last_rows, std::span<const float> norms,
                                const std::vector<bool>& competes) {
  const size_t n = competes.size();
  assert(expected.size() == n && norms.size() == n);
  assert(all_rows.size() == static_cast<size_t>(n_group) * n && last_rows.size() == all_rows.size());
  std::vector<double> mixed(n);
  const auto add = [&](double weight, const std::vector<double>& term) {
    double total = 0;
    for (size_t j = 0; j < n; ++j) total += competes[j] ? term[j] : 0;
    for (size_t j = 0; j < n && total > 0; ++j) mixed[j] += weight * term[j] / total;
  };
  const auto received = [&](std::span<const float> sums) {
    std::vector<double> term(n);
    for (size_t j = 0; j < n; ++j)
      for (size_t g = 0; g < static_cast<size_t>(n_group); ++g) term[j] += double{sums[g * n + j]} * norms[j];
    return term;
  };
  add(mixed_expected, {expected.begin(), expected.end()});
  add(mixed_all_rows, received(all_rows));
  add(mixed_last_rows, received(last_rows));
  std::vector<float> scores;
  for (const double share : mixed) scores.push_back(static_cast<float>(share * n_expected_rows * n_group));
  return scores;
}

}  // namespace headroom
