// Tokens and recoveries that were measured once ─► the policy and the number of tokens that every head would have under
// another configuration. The part of the planner (keep_plan.h) that needs no attention; the window's what-if asks it.
#include <algorithm>
#include <cmath>

#include "engine/base/model_config.h"
#include "engine/kv/keep_plan.h"
#include "engine/kv/profile.h"

namespace headroom {
namespace {

/// Tokens that a rule keeps. Counting reads every token, and few rules of a model protect different ones.
class KeptCounts {
 public:
  explicit KeptCounts(std::span<const SlotTag> tags) : tags_(tags) {}

  int32_t of(const KeepRule& rule) {
    for (const auto& [known, counts] : known_)
      if (protect_the_same(known, rule)) return counts.n_kept(rule);
    return known_.emplace_back(rule, count_keys(tags_, rule)).second.n_kept(rule);
  }

 private:
  static bool protect_the_same(const KeepRule& a, const KeepRule& b) {
    return a.policy == b.policy && a.reach_from == b.reach_from && a.local_from == b.local_from &&
           a.class_from == b.class_from;
  }

  std::span<const SlotTag> tags_;
  std::vector<std::pair<KeepRule, KeyCounts>> known_;
};

/// Budgets of a first prefill. Pooled ones follow from scores that only attention gives: every head has its even share.
std::vector<HeadBudget> budgets_without_scores(const ModelShape& shape, const CacheConfig& config,
                                               const PrefillStage& prefill) {
  if (config.budget == BudgetKind::shared) {
    check_budget_bytes(config, least_budget_bytes(shape.windows, shape.n_kv_heads, shape.page_bytes));
    return plan_budgets(shape, config, prefill, {}, n_last_of_budgets(config));
  }
  std::vector<HeadBudget> even;
  for (const HeadCapacity& capacity : head_capacities(shape, config, prefill, {}, n_last_of_prompt))
    even.push_back(
        {.tokens = static_cast<int32_t>(std::lround(config.keep * capacity.n_reach)), .of_tokens = capacity.n_reach});
  return even;
}

}  // namespace

KeepForecast forecast_keep(const ModelShape& shape, const CacheConfig& config, std::span<const SlotTag> tags,
                           std::span<const HeadProfile> profiles) {
  const PrefillStage prefill{.n_before = 0, .new_tags = tags};
  CacheConfig solved = config;
  std::vector<HeadChoice> choices(static_cast<size_t>(shape.n_heads()));
  if (config.budget != BudgetKind::fixed) {
    const std::vector<HeadBudget> budgets = budgets_without_scores(shape, config, prefill);
    for (size_t h = 0; h < choices.size(); ++h)
      choices[h] = {.policy = config.policy_set.front(), .profile = {}, .budget = budgets[h]};
  } else {
    if (solves_threshold(config)) {
      std::vector<SolvedHead> heads;
      for (size_t h = 0; h < choices.size(); ++h)
        heads.push_back({.profiles = {profiles[h]}, .tags = tags, .window = shape.window_of(static_cast<int32_t>(h))});
      const KeepShares own{config.r_local, config.r_frequent};
      solved.threshold = solve_threshold(heads, {&own, 1}, prefill.n_tokens(), config).threshold;
    }
    for (size_t h = 0; h < choices.size(); ++h)
      choices[h] = {.policy = choose_policy(profiles[h], solved), .profile = profiles[h], .budget = {}};
  }

  KeepForecast forecast{.policies = {}, .kept_tokens = {}, .threshold = solved.threshold};
  KeptCounts counts(tags);
  for (size_t h = 0; h < choices.size(); ++h) {
    forecast.policies.push_back(choices[h].policy);
    forecast.kept_tokens.push_back(counts.of(
        rule_of(choices[h], solved, prefill.n_tokens(), shape.window_of(static_cast<int32_t>(h)), n_last_of_prompt)));
  }
  return forecast;
}

}  // namespace headroom
