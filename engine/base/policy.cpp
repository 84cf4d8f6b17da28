// Names of policies and configurations, and the budgets that follow from a policy for n tokens.
#include "engine/base/policy.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>

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

struct NamedSet {
  std::string_view name;
  std::vector<Policy> policies;
};

// The paper's set is its section 3.3; the ablations leave one policy out of it (its table 4) or take another order
// (punctuation last, its table 5; local before frequent); the baselines are one policy for all heads.
const std::vector<NamedSet>& named_sets() {
  static const std::vector<NamedSet> sets{
      {"paper", {{s}, {s | p}, {s | p | f}, {s | p | f | l}, {Policy::full}}},
      {"paper-no-special", {{p}, {p | f}, {p | f | l}, {Policy::full}}},
      {"paper-no-punct", {{s}, {s | f}, {s | f | l}, {Policy::full}}},
      {"paper-no-frequent", {{s}, {s | p}, {s | p | l}, {Policy::full}}},
      {"paper-no-local", {{s}, {s | p}, {s | p | f}, {Policy::full}}},
      {"paper-punct-last", {{s}, {s | f}, {s | f | l}, {s | p | f | l}, {Policy::full}}},
      {"paper-local-first", {{s}, {s | p}, {s | p | l}, {s | p | f | l}, {Policy::full}}},
      {"local", {{l}}},
      {"streaming", {{Policy::first | l}}},
      {"h2o", {{f | l}}},
      {"full", {{Policy::full}}},
  };
  return sets;
}

}  // namespace

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

std::optional<CacheConfig> find_cache_config(std::string_view name) {
  for (const NamedSet& set : named_sets())
    if (set.name == name) return CacheConfig{.name = std::string(name), .policy_set = set.policies};
  return std::nullopt;
}

std::vector<std::string> cache_config_names() {
  std::vector<std::string> names;
  for (const NamedSet& set : named_sets()) names.emplace_back(set.name);
  return names;
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

}  // namespace headroom
