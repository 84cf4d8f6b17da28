// The state of every head ─► a map for the terminal: layers as rows, KV heads as columns, a letter and a colour for
// each policy, and a legend with counts, bytes and kept share.
#pragma once

#include <string>

#include "engine/base/policy.h"
#include "engine/run/session.h"

namespace headroom {

/// "S 12, P 3, A 5": the number of heads per policy, without policies that no head has. Heads with a policy of an
/// earlier configuration count as "?".
std::string policy_count_text(const CacheState& state, const CacheConfig& config);

/// Lines that end with a line feed.
std::string head_map_text(const CacheState& state, const CacheConfig& config, bool use_colour);

}  // namespace headroom
