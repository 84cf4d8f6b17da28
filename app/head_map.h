// The state of every head ─► a map for the terminal: layers as rows, KV heads as columns, a letter and a colour for
// each policy, and a legend with counts, bytes and kept share.
#pragma once

#include <string>
#include <vector>

#include "engine/base/policy.h"
#include "engine/run/session.h"

namespace headroom {

/// The policies that heads of this configuration can have: the set, and `full` at the end where it is the fallback.
std::vector<Policy> possible_policies(const CacheConfig& config);

/// A letter for each policy, all different: S special, P punct, F frequent, L local, I first, A full (all), by the last
/// part that a policy has; then lower case, then digits.
std::string policy_letters(const std::vector<Policy>& policies);

/// "S 12, P 3, A 5": how many heads have which policy; those that no head has are left out. Heads that
/// still have a policy of an earlier configuration count as "?".
std::string policy_count_text(const CacheState& state, const CacheConfig& config);

/// Lines that end with a line feed.
std::string head_map_text(const CacheState& state, const CacheConfig& config, bool use_colour);

}  // namespace headroom
