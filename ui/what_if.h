// Recoveries that were measured once, or budgets that need none, + another configuration ─► the policy, tokens and
// bytes of every head under it, without a forward pass. Plain numbers between the Mirror and the panels; knows no
// ImGui.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/telemetry/mirror.h"

namespace headroom {

/// The heads of one policy together.
struct PolicyTotal {
  Policy policy;
  int32_t n_heads = 0;
  int64_t kept_tokens = 0;  // over all of them
  int64_t bytes = 0;        // of their pages
};

/// Totals of the heads as they stand: first the possible policies in order, also those without a head, then any
/// other that a head has (a turn under an earlier configuration).
std::vector<PolicyTotal> policy_totals(const LoadedModel& model, std::span<const MirrorHead> heads,
                                       const CacheConfig& config);

/// Tokens over all heads.
struct KeptTotal {
  int64_t kept_tokens = 0, n_reach = 0;  // n_reach: in the windows of the heads' layers
  double share() const { return n_reach == 0 ? 0 : static_cast<double>(kept_tokens) / static_cast<double>(n_reach); }
};
KeptTotal kept_total(const Mirror& mirror);

/// Bytes of a page under another cache type: of f16 two bytes a value, of q8_0 34 bytes for 32 values; tags and scores
/// are the rest and stay.
int64_t page_bytes_under(const LoadedModel& model, CacheType now, CacheType then);

struct WhatIf {
  std::vector<Policy> policies;      // (heads)
  std::vector<int32_t> kept_tokens;  // (heads); with `pooled` budgets an even share, whoever gets more
  std::vector<PolicyTotal> totals;   // as policy_totals
  KeptTotal kept;
  int64_t kv_live_bytes = 0;
  double threshold = 0;  // that was used: the configuration's, or the one that its `keep` is solved for with
  std::string refusal;   // a sentence why this cannot be had; there is nothing else then
};

/// What a re-encode of `tokens` would leave. With `fixed` budgets: if the heads' recoveries were those of `heads`; the
/// shares of `config` count the tokens, the recoveries are of the shares that they were measured with. With others the
/// recoveries do not matter. now: the cache type that the model's page_bytes are of.
WhatIf what_if(const LoadedModel& model, std::span<const MirrorToken> tokens, std::span<const MirrorHead> heads,
               const CacheConfig& config, CacheType now = CacheType::f16);

/// Where live bytes are no less than those of a full cache: "too short to save yet; from about 140 tokens on", or why
/// nothing is saved. Empty where something is.
std::string too_short_text(const Mirror& mirror);

/// Of `shared` budgets with a bound of bytes: what the protected tokens alone take, and from where on something is left
/// to share out by importance, as much again.
struct SmallestBounds {
  int64_t protected_bytes = 0, sensible_bytes = 0;
};
SmallestBounds smallest_bounds(const Mirror& mirror, const CacheConfig& config);

/// Whether the engine chooses the threshold of this configuration.
inline bool solves_threshold(const CacheConfig& config) {
  return config.budget == BudgetKind::fixed && config.policy_set.size() > 1 && config.keep > 0;
}

/// How far what_if can be trusted for the conversation as it stands.
struct WhatIfTrust {
  bool is_known = false;  // false: it cannot be told without a re-encode
  bool is_exact = false;
  std::string sentence;
};
WhatIfTrust what_if_trust(const Mirror& mirror, const CacheConfig& config);

}  // namespace headroom
