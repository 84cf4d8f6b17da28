// What a head may keep, as values: policies (Ge et al. 2024, section 3), configurations with their three parts (which
// score ranks a token, how many tokens a head may hold, how much a head counts), and the rule that follows for a
// conversation of n tokens. Configurations are data, not code.
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

enum class GroupReduce : uint8_t { min, mean };

/// What ranks the tokens of a head for `frequent`. It is where a slot's score starts; while an answer is written every
/// score grows by the attention that the slot receives.
enum class TokenScore : uint8_t {
  accumulated,  // attention received from all rows (the paper)
  expected,     // attention that queries to come will give it, times the norm of its value
                // (engine/kv/expected_attention.h)
  recent,       // attention received from the last 64 rows (SnapKV, Li et al. 2024)
  mixed,        // all three, weighted (engine/kv/mixed_score.h)
};

/// How many tokens a head may hold.
enum class BudgetKind : uint8_t {
  fixed,   // what its policy holds: the shares r_local and r_frequent (the paper)
  shared,  // by the head's importance; all heads together hold `keep` (engine/base/budget.h)
  pooled,  // the heads of a layer compete for `keep` by their tokens' scores (AdaKV, Feng et al. 2024)
};

/// How much a head counts where budgets are shared.
enum class ImportanceKind : uint8_t {
  equal,
  calibrated,  // by the model's table (engine/run/calibration_table.h); without one: equal, with `accumulated`
};

/// How pages hold keys and values.
enum class CacheType : uint8_t { f16, q8_0 };

std::string_view token_score_name(TokenScore score);   // "accumulated", …
std::string_view budget_kind_name(BudgetKind budget);  // "fixed", …
std::string_view importance_kind_name(ImportanceKind importance);
std::string_view cache_type_name(CacheType type);  // "f16", "q8_0"

/// Everything that decides what a head keeps. With `fixed` budgets a head takes the first policy of the set whose
/// recovery is at least the threshold; `full` is the fallback, except for a set of one policy, which has none. With
/// `shared` and `pooled` the set is one policy, and `frequent` fills up what its other parts leave of the head's
/// budget.
struct CacheConfig {
  std::string name = "paper";
  std::vector<Policy> policy_set;
  double r_local = 0.3;
  double r_frequent = 0.3;
  double threshold = 0.95;
  GroupReduce group = GroupReduce::min;
  TokenScore score = TokenScore::accumulated;
  BudgetKind budget = BudgetKind::fixed;
  ImportanceKind importance = ImportanceKind::equal;
  /// Share of the tokens that all heads hold together at the end of a prompt. `shared`, `pooled`: always above 0.
  /// `fixed` with several policies: above 0, the threshold (and r_local = r_frequent) that gives it is solved for.
  double keep = 0;
  int64_t kv_budget_bytes = 0;  // `shared`: live bytes at most, after a prompt and while answering; 0: no bound
  double beta = 0;              // `shared`: how much importance counts; 0: not at all
  std::vector<float> head_importance{};  // (n_layers * n_kv_heads) mean 1; empty: all heads alike
  std::string calibration_file{};        // a table to take importance from; empty: the model's own
  CacheType cache_type = CacheType::f16;

  bool operator==(const CacheConfig&) const = default;
};

/// Named values: the paper's set and its ablations (paper-no-special …, paper-punct-last …), the baselines local,
/// streaming, h2o, snapkv, adakv, uniform, uniform-expected, and headroom, whose budgets follow the model's table.
/// Nothing for an unknown name.
std::optional<CacheConfig> find_cache_config(std::string_view name);
std::vector<std::string> cache_config_names();

/// True where the number of tokens follows from a share; not so for `full` and for special tokens alone.
bool takes_keep(const CacheConfig& config);
/// The configuration with a share of the tokens to keep: `keep` itself, or r_local and r_frequent, halves of it where a
/// single fixed policy has both parts. It takes one.
CacheConfig with_keep(CacheConfig config, double keep);

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
///   kept:     special, punctuation (both at position >= class_from or among the first 4), first tokens, local
///             (position >= local_from) where the policy has the part;
///   of the rest the best scores (of equal scores the earlier position), where it has the part `frequent`: n_frequent
///   of them or, where the head has a budget, as many as n_total leaves.
struct KeepRule {
  Policy policy;
  int32_t reach_from = 0;
  int32_t local_from = 0;
  int32_t n_frequent = 0;
  int32_t n_total = -1;  // -1: no budget
  int32_t class_from = 0;

  /// Slots that stay by their score where n_always stay without a look at it.
  int32_t n_by_score(int32_t n_always) const {
    if (!policy.has(Policy::frequent)) return 0;
    if (n_total < 0) return n_frequent;
    return n_total > n_always ? n_total - n_always : 0;
  }

  /// Kept without a look at the score. The position must be within reach.
  bool keeps_always(int32_t position, TokenClass token_class) const {
    return policy.has(Policy::full) ||
           (keeps_class(token_class) && (position >= class_from || position < n_first_tokens)) ||
           (policy.has(Policy::first) && position < n_first_tokens) ||
           (policy.has(Policy::local) && position >= local_from);
  }

  bool keeps_class(TokenClass token_class) const {
    return (policy.has(Policy::special) && token_class == TokenClass::special) ||
           (policy.has(Policy::punctuation) && token_class == TokenClass::punctuation);
  }
};

/// n_tokens: tokens in the conversation so far. window: the layer's sliding window, 0 for none.
/// Budgets are shares of the columns within reach: w = max(1, ceil(r_local * n)), ceil(r_frequent * n). Shares: 0 to 1.
KeepRule make_keep_rule(Policy policy, int32_t n_tokens, int32_t window, double r_local, double r_frequent);

// `local` where a head has a budget: the last tokens of a prompt, and of what is there while an answer is written.
inline constexpr int32_t n_last_of_prompt = 32;
inline constexpr int32_t n_last_of_answer = 64;
// Of them a bound in bytes must hold so many.
inline constexpr int32_t n_last_at_least = 16;

/// What a head with a budget protects. Where a bound in bytes does not hold all of it, a part gives way (budget.h).
struct Protection {
  int32_t class_from = 0;             // tokens before it, but for the first 4, are not protected by their class
  int32_t n_last = n_last_of_answer;  // of the last tokens so many are protected, at most

  bool operator==(const Protection&) const = default;
};

/// Tokens that one head may hold (`shared`, `pooled`), as they were set for a number of columns within reach. What is
/// protected is held in any case: where a short text is protected whole, the budget is less than what the head holds.
struct HeadBudget {
  int32_t tokens = -1;  // -1: none, the policy alone decides
  int32_t of_tokens = 0;
  bool grows = true;  // in proportion to the columns within reach; false: it stays
  Protection protection{};

  bool operator==(const HeadBudget&) const = default;
  int32_t at(int32_t n_reach) const;
};

/// The rule of a head with a budget; `local` holds the n_last tokens, or as many as the budget protects.
KeepRule make_budget_rule(Policy policy, HeadBudget budget, int32_t n_tokens, int32_t window, int32_t n_last);

}  // namespace headroom
