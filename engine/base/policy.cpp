// Names of policies and configurations, and the budgets that follow from a policy for n tokens.
#include "engine/base/policy.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>

#include "engine/base/error.h"
#include "engine/base/model_config.h"

namespace headroom {
namespace {

struct PartName {
  uint8_t part;
  std::string_view name;
};

constexpr std::array<PartName, 6> part_names{{{Policy::special, "special"},
                                              {Policy::punctuation, "punct"},
                                              {Policy::frequent, "frequent"},
                                              {Policy::first, "first"},
                                              {Policy::local, "local"},
                                              {Policy::full, "full"}}};

constexpr uint8_t s = Policy::special, p = Policy::punctuation, f = Policy::frequent, l = Policy::local;

CacheConfig fixed(std::string name, std::vector<Policy> policies) {
  return {.name = std::move(name), .policy_set = std::move(policies)};
}

CacheConfig with_budget(std::string name, BudgetKind budget, TokenScore score, ImportanceKind importance,
                        Policy policy) {
  CacheConfig config = fixed(std::move(name), {policy});
  config.budget = budget;
  config.score = score;
  config.importance = importance;
  config.keep = 0.5;
  return config;
}

// The paper's set is from its section 3.3. The ablations omit one policy (its table 4) or change the order
// (punctuation last, its table 5; local before frequent). The baselines: StreamingLLM (Xiao et al. 2024), H2O (Zhang et
// al. 2023), SnapKV (Li et al. 2024), AdaKV (Feng et al. 2024); `uniform` gives every head the same budget.
const std::vector<CacheConfig>& named_configs() {
  constexpr uint8_t i = Policy::first;
  static const std::vector<CacheConfig> configs{
      fixed("paper", {{s}, {s | p}, {s | p | f}, {s | p | f | l}, {Policy::full}}),
      with_budget("headroom", BudgetKind::shared, TokenScore::accumulated, ImportanceKind::calibrated, {s | i | f | l}),
      fixed("paper-no-special", {{p}, {p | f}, {p | f | l}, {Policy::full}}),
      fixed("paper-no-punct", {{s}, {s | f}, {s | f | l}, {Policy::full}}),
      fixed("paper-no-frequent", {{s}, {s | p}, {s | p | l}, {Policy::full}}),
      fixed("paper-no-local", {{s}, {s | p}, {s | p | f}, {Policy::full}}),
      fixed("paper-punct-last", {{s}, {s | f}, {s | f | l}, {s | p | f | l}, {Policy::full}}),
      fixed("paper-local-first", {{s}, {s | p}, {s | p | l}, {s | p | f | l}, {Policy::full}}),
      fixed("local", {{l}}),
      fixed("streaming", {{i | l}}),
      fixed("h2o", {{f | l}}),
      with_budget("snapkv", BudgetKind::shared, TokenScore::recent, ImportanceKind::equal, {f | l}),
      with_budget("adakv", BudgetKind::pooled, TokenScore::recent, ImportanceKind::equal, {s | i | f | l}),
      with_budget("uniform", BudgetKind::shared, TokenScore::accumulated, ImportanceKind::equal, {s | i | f | l}),
      with_budget("uniform-expected", BudgetKind::shared, TokenScore::expected, ImportanceKind::equal, {s | i | f | l}),
      fixed("full", {{Policy::full}}),
  };
  return configs;
}

}  // namespace

std::string_view token_score_name(TokenScore score) {
  constexpr std::string_view names[] = {"accumulated", "expected", "recent", "mixed"};
  return names[static_cast<size_t>(score)];
}

std::string_view budget_kind_name(BudgetKind budget) {
  constexpr std::string_view names[] = {"fixed", "shared", "pooled"};
  return names[static_cast<size_t>(budget)];
}

std::string_view importance_kind_name(ImportanceKind importance) {
  constexpr std::string_view names[] = {"equal", "calibrated"};
  return names[static_cast<size_t>(importance)];
}

std::string_view cache_type_name(CacheType type) {
  constexpr std::string_view names[] = {"f16", "q8_0"};
  return names[static_cast<size_t>(type)];
}

std::string policy_name(Policy policy) {
  std::string name;
  for (const PartName& part : part_names) {
    if (!policy.has(part.part)) continue;
    if (!name.empty()) name += '+';
    name += part.name;
  }
  return name;
}

std::optional<Policy> parse_policy(std::string_view name) {
  uint8_t parts = 0;
  while (true) {
    const size_t plus = name.find('+');
    const std::string_view word = name.substr(0, plus);
    const auto* found =
        std::find_if(part_names.begin(), part_names.end(), [&](const PartName& part) { return part.name == word; });
    if (found == part_names.end() || (parts & found->part) != 0) return std::nullopt;
    parts = static_cast<uint8_t>(parts | found->part);
    if (plus == std::string_view::npos) break;
    name.remove_prefix(plus + 1);
  }
  if ((parts & Policy::full) != 0 && parts != Policy::full) return std::nullopt;
  return Policy{parts};
}

void check_ranges(const CacheConfig& config) {
  const auto check = [](double value, double most, const char* name) {
    if (!(value >= 0 && value <= most))
      throw Error(std::string(name) + " is " + std::to_string(value) + "; expected 0 to " +
                  std::to_string(static_cast<int>(most)));
  };
  check(config.r_local, 1, "r_local");
  check(config.r_frequent, 1, "r_frequent");
  check(config.threshold, max_threshold, "the threshold");
  check(config.keep, 1, "keep");
  if (config.budget != BudgetKind::fixed && config.keep == 0)
    throw Error("keep is 0; expected above 0 and at most 1 with budgets");
  constexpr int64_t max_kv_budget_bytes = int64_t{1} << 60;
  if (config.kv_budget_bytes < 0 || config.kv_budget_bytes > max_kv_budget_bytes)
    throw Error("kv_budget_bytes is " + std::to_string(config.kv_budget_bytes) + "; expected 0 to " +
                std::to_string(max_kv_budget_bytes));
  check(config.beta, 1000, "beta");  // far over what tells heads apart
  for (const float importance : config.head_importance)
    if (!(std::isfinite(importance) && importance >= 0))
      throw Error("a head's importance is " + std::to_string(importance) + "; expected a finite number of 0 or more");
}

std::optional<CacheConfig> find_cache_config(std::string_view name) {
  for (const CacheConfig& config : named_configs())
    if (config.name == name) return config;
  return std::nullopt;
}

std::vector<std::string> cache_config_names() {
  std::vector<std::string> names;
  for (const CacheConfig& config : named_configs()) names.push_back(config.name);
  return names;
}

namespace {

/// True for one fixed policy, whose shares r_local and r_frequent set how many tokens it keeps.
bool has_plain_shares(const CacheConfig& config) {
  return config.budget == BudgetKind::fixed && config.policy_set.size() == 1;
}

}  // namespace

bool takes_keep(const CacheConfig& config) {
  const Policy policy = config.policy_set.front();
  return !has_plain_shares(config) || policy.has(Policy::local) || policy.has(Policy::frequent);
}

CacheConfig with_keep(CacheConfig config, double keep) {
  assert(takes_keep(config));
  if (!has_plain_shares(config)) {
    config.keep = keep;
    return config;
  }
  const Policy policy = config.policy_set.front();
  const bool both = policy.has(Policy::local) && policy.has(Policy::frequent);
  config.r_local = policy.has(Policy::local) ? keep / (both ? 2 : 1) : 0;
  config.r_frequent = policy.has(Policy::frequent) ? keep / (both ? 2 : 1) : 0;
  return config;
}

std::vector<Policy> possible_policies(const CacheConfig& config) {
  std::vector<Policy> policies = config.policy_set;
  const Policy full{Policy::full};
  if (policies.size() > 1 && std::find(policies.begin(), policies.end(), full) == policies.end())
    policies.push_back(full);
  return policies;
}

std::string policy_letters(const std::vector<Policy>& policies) {
  std::string letters;
  for (const Policy policy : policies) {
    char letter = policy.has(Policy::full)          ? 'A'
                  : policy.has(Policy::local)       ? 'L'
                  : policy.has(Policy::first)       ? 'I'
                  : policy.has(Policy::frequent)    ? 'F'
                  : policy.has(Policy::punctuation) ? 'P'
                                                    : 'S';
    if (letters.find(letter) != std::string::npos) letter = static_cast<char>(letter - 'A' + 'a');
    for (char digit = '1'; letters.find(letter) != std::string::npos; ++digit) letter = digit;
    letters += letter;
  }
  return letters;
}

Policy choose_policy(const HeadProfile& profile, const CacheConfig& config) {
  if (config.policy_set.size() == 1) return config.policy_set.front();
  for (const Policy policy : config.policy_set)
    if (profile.recovery(policy) >= config.threshold) return policy;
  return Policy{Policy::full};
}

KeepRule make_keep_rule(Policy policy, int32_t n_tokens, int32_t window, double r_local, double r_frequent) {
  assert(r_local >= 0 && r_local <= 1 && r_frequent >= 0 && r_frequent <= 1);
  const int32_t n_reach = reachable_tokens(n_tokens, window);
  const int32_t w = std::max(1, static_cast<int32_t>(std::ceil(r_local * n_reach)));
  return KeepRule{.policy = policy,
                  .reach_from = n_tokens - n_reach,
                  .local_from = n_tokens - w,
                  .n_frequent = static_cast<int32_t>(std::ceil(r_frequent * n_reach))};
}

int32_t HeadBudget::at(int32_t n_reach) const {
  if (tokens < 0 || !grows || of_tokens <= 0) return tokens;
  return static_cast<int32_t>((int64_t{tokens} * n_reach + of_tokens / 2) / of_tokens);
}

KeepRule make_budget_rule(Policy policy, HeadBudget budget, int32_t n_tokens, int32_t window, int32_t n_last) {
  const int32_t n_reach = reachable_tokens(n_tokens, window);
  return KeepRule{.policy = policy,
                  .reach_from = n_tokens - n_reach,
                  .local_from = n_tokens - std::min(n_last, budget.protection.n_last),
                  .n_frequent = 0,
                  .n_total = budget.at(n_reach),
                  .class_from = budget.protection.class_from};
}

}  // namespace headroom
