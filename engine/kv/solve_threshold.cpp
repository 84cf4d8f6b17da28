// Bisection over the recoveries that were measured. See solve_threshold.h.
#include "engine/kv/solve_threshold.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/base/model_config.h"
#include "engine/kv/profile.h"

namespace headroom {
namespace {

/// One share's heads: what each possible policy keeps and recovers in each.
struct Table {
  std::vector<Policy> policies;
  std::vector<std::vector<int64_t>> kept;       // (heads, policies)
  std::vector<std::vector<double>> recoveries;  // (heads, policies)

  struct Outcome {
    int64_t kept = 0;
    double recovered = 0;  // summed over the heads
  };
  Outcome at(double threshold) const {
    Outcome outcome;
    for (size_t h = 0; h < kept.size(); ++h) {
      size_t p = 0;
      while (p + 1 < policies.size() && recoveries[h][p] < threshold) ++p;
      outcome.kept += kept[h][p];
      outcome.recovered += recoveries[h][p];
    }
    return outcome;
  }
};

Table make_table(std::span<const SolvedHead> heads, size_t share, KeepShares shares, int32_t n_tokens,
                 const CacheConfig& config) {
  Table table{.policies = possible_policies(config), .kept = {}, .recoveries = {}};
  // In a first turn all heads with one window hold the same keys.
  std::map<std::pair<int32_t, size_t>, std::vector<int64_t>> counted;
  for (const SolvedHead& head : heads) {
    std::vector<int64_t>& kept = counted[{head.window, head.tags.size()}];
    if (kept.empty())
      for (const Policy policy : table.policies) {
        const KeepRule rule = make_keep_rule(policy, n_tokens, head.window, shares.local, shares.frequent);
        kept.push_back(count_keys(head.tags, rule).n_kept(rule));
      }
    table.kept.push_back(kept);
    table.recoveries.emplace_back();
    for (const Policy policy : table.policies) table.recoveries.back().push_back(head.profiles[share].recovery(policy));
  }
  return table;
}

}  // namespace

SolvedThreshold solve_threshold(std::span<const SolvedHead> heads, int32_t n_tokens, const CacheConfig& config) {
  std::array<KeepShares, solved_shares.size()> shares;
  for (size_t i = 0; i < shares.size(); ++i) shares[i] = {solved_shares[i], solved_shares[i]};
  return solve_threshold(heads, shares, n_tokens, config);
}

SolvedThreshold solve_threshold(std::span<const SolvedHead> heads, std::span<const KeepShares> shares, int32_t n_tokens,
                                const CacheConfig& config) {
  int64_t n_all = 0;
  for (const SolvedHead& head : heads) n_all += reachable_tokens(n_tokens, head.window);
  const auto wanted = static_cast<int64_t>(std::llround(config.keep * static_cast<double>(n_all)));
  SolvedThreshold best;
  double most = -1;
  for (size_t share = 0; share < shares.size(); ++share) {
    const Table table = make_table(heads, share, shares[share], n_tokens, config);
    // Between two recoveries nothing changes: the thresholds that differ are the recoveries themselves.
    std::vector<double> thresholds{0};
    for (const std::vector<double>& of_head : table.recoveries)
      thresholds.insert(thresholds.end(), of_head.begin(), of_head.end());
    std::sort(thresholds.begin(), thresholds.end());
    const auto above = std::partition_point(thresholds.begin() + 1, thresholds.end(),
                                            [&](double threshold) { return table.at(threshold).kept <= wanted; });
    const double threshold = *(above - 1);
    const Table::Outcome outcome = table.at(threshold);
    // A share that cannot get down to the wanted number comes after one that can.
    const double recovered = outcome.kept <= wanted ? outcome.recovered : -static_cast<double>(outcome.kept) * 1e-12;
    if (share > 0 && recovered <= most) continue;
    most = recovered;
    best = {share, threshold};
  }
  return best;
}

}  // namespace headroom
