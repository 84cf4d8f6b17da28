// What a head may keep, as values: policies (Ge et al. 2024, section 3), cache configurations, and the keep rule that
// they make for a conversation of n tokens. A configuration chooses the score that ranks tokens, the number of tokens
// that a head may hold, and the importance of heads. Configurations are data, not code.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/types.h"

namespace headroom {

/// A policy is a union of parts. `full` keeps everything and is never combined with other parts.
struct Policy {
  static constexpr uint8_t special = 1;  // control tokens and position 0
  static constexpr uint8_t punctuation = 2;
  static constexpr uint8_t frequent = 4;  // the best scores among tokens that no other part keeps
  static constexpr uint8_t local = 8;     // the last w tokens
  static constexpr uint8_t first = 16;    // positions 0 to 3: StreamingLLM's sinks
  static constexpr uint8_t full = 128;

  uint8_t parts = full;

  bool has(uint8_t part) const { return (parts & part) != 0; }
  bool operator==(const Policy&) const = default;
};

inline constexpr int32_t n_first_tokens = 4;

/// "special+punct+frequent+local", "first+local", "full". parse_policy is the inverse: it accepts the parts in any
/// order and returns nothing for an unknown or repeated part.
std::string policy_name(Policy policy);
std::optional<Policy> parse_policy(std::string_view name);

enum class GroupReduce : uint8_t { min, mean };

/// The score that ranks the tokens of a head for `frequent`. It sets a slot's score at the end of prefill. While an
/// answer is generated, every score grows by the attention that its slot receives.
enum class TokenScore : uint8_t {
  accumulated,  // attention received from all rows (the paper)
  expected,     // attention expected from future queries, times the norm of the token's value
                // (engine/kv/expected_attention.h)
  recent,       // attention received from the last 64 rows (SnapKV, Li et al. 2024)
  mixed,        // combines all three (engine/kv/mixed_score.h)
};

/// How many tokens a head may hold.
enum class BudgetKind : uint8_t {
  fixed,   // what its policy keeps, by the shares r_local and r_frequent (the paper)
  shared,  // by the head's importance; all heads together hold `keep` (engine/base/budget.h)
  pooled,  // the heads of a layer compete for `keep` by their tokens' scores (AdaKV, Feng et al. 2024)
};

/// How important a head is for `shared` budgets.
enum class ImportanceKind : uint8_t {
  equal,
  calibrated,  // by the model's table (engine/run/calibration_table.h); without a table: equal, with `accumulated`
};

/// How pages hold keys and values.
enum class CacheType : uint8_t { f16, q8_0 };

std::string_view token_score_name(TokenScore score);   // "accumulated", …
std::string_view budget_kind_name(BudgetKind budget);  // "fixed", …
std::string_view importance_kind_name(ImportanceKind importance);
std::string_view cache_type_name(CacheType type);  // "f16", "q8_0"

/// Everything that decides what a head keeps. With `fixed` budgets a head uses the first policy of the set whose
/// recovery is at least the threshold. If no policy reaches it, the head uses `full`; a set of one policy has no such
/// fallback. With `shared` and `pooled` the set is one policy, and `frequent` fills the rest of the head's budget.
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
  /// Share of all tokens that the heads hold together after prefill. `shared`, `pooled`: always above 0. `fixed` with
  /// several policies: if above 0, the threshold (with r_local = r_frequent) that yields it is solved for.
  double keep = 0;
  int64_t kv_budget_bytes = 0;           // `shared`: limit of live bytes, after prefill and while generating; 0: none
  double beta = 0;                       // `shared`: weight of importance; 0: importance is ignored
  std::vector<float> head_importance{};  // (n_layers * n_kv_heads) with mean 1; empty: all heads are equal
  std::string calibration_file{};        // the table with the importance; empty: the model's own table
  CacheType cache_type = CacheType::f16;

  bool operator==(const CacheConfig&) const = default;
};

/// The largest threshold. No recovery reaches it, so every head keeps all tokens.
inline constexpr double max_threshold = 2;

/// Throws Error if a number of the configuration is out of its range for any model. The stream's reader and the
/// session call it.
void check_ranges(const CacheConfig& config);

/// Named configurations: the paper's set and its ablations (paper-no-special …, paper-punct-last …), the baselines
/// local, streaming, h2o, snapkv, adakv, uniform, uniform-expected, and headroom, whose budgets follow the model's
/// table. Returns nothing for an unknown name.
std::optional<CacheConfig> find_cache_config(std::string_view name);
std::vector<std::string> cache_config_names();

/// True if a share sets how many tokens the configuration keeps. False for policies without such a share, for example
/// `full` or special tokens alone.
bool takes_keep(const CacheConfig& config);
/// The configuration with another share of tokens to keep. A single fixed policy has the share in r_local and
/// r_frequent, split in halves if it has both parts. Every other configuration has it in `keep`. Requires takes_keep().
CacheConfig with_keep(CacheConfig config, double keep);

/// The policies that heads of this configuration can have: the set, then `full` if it is the fallback.
std::vector<Policy> possible_policies(const CacheConfig& config);

/// One distinct letter per policy: A full (all), else L local, I first, F frequent, P punct, S special by the first of
/// these parts that the policy has. A letter in use is replaced by its lower case, then by a digit.
std::string policy_letters(const std::vector<Policy>& policies);

/// Recovery of every union of the five parts special, punctuation, frequent, local, first, reduced over the query
/// group. The index is the union's bits (Policy::parts < 32). This is enough for any what-if with the same shares.
struct HeadProfile {
  std::array<double, 32> recoveries{};

  double recovery(Policy policy) const { return policy.has(Policy::full) ? 1.0 : recoveries[policy.parts]; }
};

/// The first policy of the set whose recovery is at least the threshold, or `full` if there is none. A set of one
/// policy returns that policy.
Policy choose_policy(const HeadProfile& profile, const CacheConfig& config);

/// Which tokens one head keeps of a conversation of n tokens. The evict of every backend uses it.
///   dropped:  position < reach_from (outside the sliding window), whatever the class
///   kept:     if the policy has the part: special and punctuation (both at position >= class_from or among the first
///             4), the first tokens, local (position >= local_from)
///   frequent: if the policy has the part: the best scores of the remaining tokens (the earlier position if scores are
///             equal). Their number is n_frequent or, with a budget, what the kept ones leave of n_total.
struct KeepRule {
  Policy policy;
  int32_t reach_from = 0;
  int32_t local_from = 0;
  int32_t n_frequent = 0;
  int32_t n_total = -1;  // -1: no budget
  int32_t class_from = 0;

  /// Number of slots kept by their score, if n_always slots are kept whatever their score.
  int32_t n_by_score(int32_t n_always) const {
    if (!policy.has(Policy::frequent)) return 0;
    if (n_total < 0) return n_frequent;
    return n_total > n_always ? n_total - n_always : 0;
  }

  /// True if the token is kept whatever its score. The position must be within reach.
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
/// With n columns within reach, `local` holds max(1, ceil(r_local * n)) tokens and `frequent` ceil(r_frequent * n).
/// Both shares are 0 to 1.
KeepRule make_keep_rule(Policy policy, int32_t n_tokens, int32_t window, double r_local, double r_frequent);

// How many last tokens `local` keeps in a head with a budget: after prefill, and while an answer is generated.
inline constexpr int32_t n_last_of_prompt = 32;
inline constexpr int32_t n_last_of_answer = 64;
// A limit in bytes must have room for at least this many of them.
inline constexpr int32_t n_last_at_least = 16;

/// What a head with a budget protects. If a limit in bytes cannot hold all of it, less is protected (budget.h).
struct Protection {
  int32_t class_from = 0;             // earlier tokens, except the first 4, are not protected by their class
  int32_t n_last = n_last_of_answer;  // at most this many of the last tokens are protected

  bool operator==(const Protection&) const = default;
};

/// How many tokens one head may hold (`shared`, `pooled`). Protected tokens are held in any case, so a head can hold
/// more than its budget when most of a short text is protected.
struct HeadBudget {
  int32_t tokens = -1;    // -1: no budget, the policy alone decides
  int32_t of_tokens = 0;  // the number of columns within reach for which `tokens` was set
  bool grows = true;      // in proportion to the columns within reach; false: it stays at `tokens`
  Protection protection{};

  bool operator==(const HeadBudget&) const = default;
  int32_t at(int32_t n_reach) const;
};

/// The keep rule of a head with a budget. `local` keeps the last n_last tokens, or fewer if the budget protects fewer.
KeepRule make_budget_rule(Policy policy, HeadBudget budget, int32_t n_tokens, int32_t window, int32_t n_last);

}  // namespace headroom
