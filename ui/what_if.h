// Recoveries that were measured once + another configuration ─► the policy, tokens and bytes of every head under it,
// without a forward pass. Plain numbers between the Mirror and the panels; knows no ImGui.
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

struct WhatIf {
  std::vector<Policy> policies;      // (heads)
  std::vector<int32_t> kept_tokens;  // (heads)
  std::vector<PolicyTotal> totals;   // as policy_totals
  int64_t kv_live_bytes = 0;
};

/// What a re-encode of `tokens` would leave if the heads' recoveries were those of `heads`. The budgets of
/// `config` count the tokens; the recoveries are of the budgets that they were measured with.
WhatIf what_if(const LoadedModel& model, std::span<const MirrorToken> tokens, std::span<const MirrorHead> heads,
               const CacheConfig& config);

/// How far what_if can be trusted for the conversation as it stands.
struct WhatIfTrust {
  bool is_known = false;  // false: it cannot be told without a re-encode
  bool is_exact = false;
  std::string sentence;
};
WhatIfTrust what_if_trust(const Mirror& mirror, const CacheConfig& config);

}  // namespace headroom
