// Attention sums of a prefill ─► recovery of every policy, the policy that a head takes, and what it keeps (Ge et al.
// 2024, Algorithm 1 and Equation 1). Plain numbers only: no tensor, no backend.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/policy.h"
#include "engine/base/types.h"

namespace headroom {

/// What one KV head's prefill left behind. A key is a token that the next one could attend to: first the slots that the
/// head held, in slot order, then the turn's tokens, with no padding between them. Positions differ. Keys beyond reach
/// are there too and count nowhere. A is the attention, row = query, column = key.
struct KeyStats {
  int32_t n_group = 1;                    // query heads of this KV head
  int64_t stride = 0;                     // floats from one query head's row of the masses to the next
  std::span<const float> attention_mass;  // (n_group, keys) by stride: sum over i of A[i][j]
  std::span<const float> windowed_mass;   // the same, of queries i with i - j < w
  std::span<const SlotTag> tags;          // (keys)
  std::span<const float> scores;          // (keys): accumulated attention summed over the group, all turns
};

/// n_tokens: tokens in the conversation after this prefill; window: the layer's, 0 for none. A union that loses nothing
/// has a recovery of exactly 1, whatever the rounding. O(keys log keys).
HeadProfile profile_head(const KeyStats& stats, int32_t n_tokens, int32_t window, const CacheConfig& config);

/// Keys that a rule keeps, ascending. Also the rule of later turns and of the oracle in the tests of evict.
/// tags, scores: (keys)
std::vector<int32_t> select_kept(std::span<const SlotTag> tags, std::span<const float> scores, const KeepRule& rule);

/// Keys within reach: those that a rule keeps without a look at their score, and the others.
struct KeyCounts {
  int32_t n_always = 0, n_rest = 0;
  int32_t n_kept(const KeepRule& rule) const { return n_always + std::min(n_rest, rule.n_by_score(n_always)); }
};
KeyCounts count_keys(std::span<const SlotTag> tags, const KeepRule& rule);

}  // namespace headroom
