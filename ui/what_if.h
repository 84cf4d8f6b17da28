// Measured recoveries (if the budgets are fixed) + another configuration ─► the policy, tokens and bytes of every head
// under it, without a forward pass. Plain numbers between the Mirror and the panels; knows no ImGui.
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

/// Totals of the heads now. First come the policies of the configuration in order, also those without a head. Any other
/// policy that a head still has from an earlier configuration follows.
std::vector<PolicyTotal> policy_totals(const LoadedModel& model, std::span<const MirrorHead> heads,
                                       const CacheConfig& config);

/// Tokens over all heads.
struct KeptTotal {
  int64_t kept_tokens = 0, n_reach = 0;  // n_reach: tokens in the windows of the heads' layers
  double share() const { return n_reach == 0 ? 0 : static_cast<double>(kept_tokens) / static_cast<double>(n_reach); }
};
KeptTotal kept_total(const Mirror& mirror);

/// Bytes of a page of this model under a cache type.
int64_t page_bytes_of(const LoadedModel& model, CacheType type);

struct WhatIf {
  std::vector<Policy> policies;  // (heads)
  std::vector<int32_t>
      kept_tokens;  // (heads); with `pooled` budgets an even share for each, though heads get unequal ones
  std::vector<PolicyTotal> totals;  // as policy_totals
  KeptTotal kept;
  int64_t kv_live_bytes = 0;
  double threshold = 0;  // the one used: the configuration's, or the one solved for `keep`
  std::string refusal;   // why this is impossible, as a sentence; all else is empty then
};

/// What the cache would hold after a re-encode of `tokens`, by the forecast of the engine's own planner. With `fixed`
/// budgets this assumes the recoveries in `heads`, which belong to the shares that they were measured with; the shares
/// of `config` count the tokens. With other budgets the recoveries do not matter.
WhatIf what_if(const LoadedModel& model, std::span<const MirrorToken> tokens, std::span<const MirrorHead> heads,
               const CacheConfig& config);

/// If live bytes are no less than those of a full cache: "too short to save yet; from about 140 tokens on", or why
/// nothing is saved. Empty if something is saved.
std::string too_short_text(const Mirror& mirror);

/// For `shared` budgets with a byte bound. protected_bytes: what the protected tokens alone need. sensible_bytes: room
/// for twice as many tokens, so that half can be distributed by importance.
struct SmallestBounds {
  int64_t protected_bytes = 0, sensible_bytes = 0;
};
SmallestBounds smallest_bounds(const Mirror& mirror, const CacheConfig& config);

/// How far what_if can be trusted for the current conversation.
struct WhatIfTrust {
  bool is_known = false;  // false: only a re-encode can tell
  bool is_exact = false;
  std::string sentence;
};
WhatIfTrust what_if_trust(const Mirror& mirror, const CacheConfig& config);

}  // namespace headroom
