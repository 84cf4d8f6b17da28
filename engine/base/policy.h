// FastGen's policies as values: what a head may keep, the sets to choose from, and the rule that follows from a
// policy for a conversation of n tokens (Ge et al. 2024, section 3). Policies are data, not code.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/types.h"

namespace headroom {

/// A policy is the union of parts; `full` keeps everything and stands alone.
struct Policy {
  static constexpr uint8_t special = 1;  // control tokens and position 0
  static constexpr uint8_t punctuation = 2;
  static constexpr uint8_t frequent = 4;  // the best scores among what no other part keeps
  static constexpr uint8_t local = 8;     // the last w tokens
  static constexpr uint8_t first = 16;    // positions 0 to 3: StreamingLLM's sinks
  static constexpr uint8_t full = 128;

  uint8_t parts = full;

  bool has(uint8_t part) const { return (parts & part) != 0; }
  bool operator==(const Policy&) const = default;
};

inline constexpr int32_t n_first_tokens = 4;

/// "special+punct+frequent+local", "first+local", "full". The inverse takes the parts in any order and gives
/// nothing for an unknown or repeated part.
std::string policy_name(Policy policy);
std::optional<Policy> parse_policy(std::string_view name);

enum class GroupReduce { min, mean };

/// Everything that decides what a head keeps. A head takes the first policy of the set whose recovery is at least
/// the threshold; `full` is the fallback, except for a set of one policy, which has none.
struct CacheConfig {
  std::string name = "paper";
  std::vector<Policy> policy_set;
  double r_local = 0.3;
  double r_frequent = 0.3;
  double threshold = 0.95;
  GroupReduce group = GroupReduce::min;
};

/// Named values: paper, full, local, streaming, h2o, and the paper's ablations (paper-no-special …,
/// paper-punct-last …). Nothing for an unknown name.
std::optional<CacheConfig> find_cache_config(std::string_view name);
std::vector<std::string> cache_config_names();

/// The policies that heads of this configuration can have: the set, and `full` at the end where it is the fallback.
std::vector<Policy> possible_policies(const CacheConfig& config);

/// A letter for each policy, all different: S special, P punct, F frequent, L local, I first, A full (all), by the last
/// part that a policy has; then lower case, then digits.
std::string policy_letters(const std::vector<Policy>& policies);

/// Recovery of all unions of the five parts special, punctuation, frequent, local, first, indexed by the parts' bits
/// (Policy::parts < 32), reduced over the query group. Enough for any what-if with the same budgets.
struct HeadProfile {
  std::array<double, 32> recoveries{};

  double recovery(Policy policy) const { return policy.has(Policy::full) ? 1.0 : recoveries[policy.parts]; }
};

/// The first policy of the set whose recovery is at least the threshold; `full` if none is. A set of one policy is
/// taken as it is.
Policy choose_policy(const HeadProfile& profile, const CacheConfig& config);

/// What one head keeps when n tokens are in the conversation, by its policy. Shared by every backend's evict.
///   dropped:  position < reach_from (the sliding window has passed it), whatever its class
///   kept:     special, punctuation, first tokens, local (position >= local_from) where the policy has the part;
///   of the rest the n_frequent best scores (of equal scores the earlier position), where it has that part.
struct KeepRule {
  Policy policy;
  int32_t reach_from = 0;
  int32_t local_from = 0;
  int32_t n_frequent = 0;

  /// Kept without a look at the score. The position must be within reach.
  bool keeps_always(int32_t position, TokenClass token_class) const {
    return policy.has(Policy::full) || (policy.has(Policy::special) && token_class == TokenClass::special) ||
           (policy.has(Policy::punctuation) && token_class == TokenClass::punctuation) ||
           (policy.has(Policy::first) && position < n_first_tokens) ||
           (policy.has(Policy::local) && position >= local_from);
  }
};

/// n_tokens: tokens in the conversation so far. window: the layer's sliding window, 0 for none.
/// Budgets are shares of the columns within reach: w = max(1, ceil(r_local * n)), ceil(r_frequent * n). Shares: 0 to 1.
KeepRule make_keep_rule(Policy policy, int32_t n_tokens, int32_t window, double r_local, double r_frequent);

}  // namespace headroom
