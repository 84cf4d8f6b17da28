// Column sums of a prefill ─► recovery of every policy, the policy that a head takes, and what it keeps (Ge et al.
// 2024, Algorithm 1 and Equation 1). Plain numbers only: no tensor, no backend.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/policy.h"
#include "engine/base/types.h"

namespace headroom {

/// What one KV head's prefill left behind. A column is a token that the next one could attend to: first the slots
/// that the head held, in slot order, then the turn's tokens, with no padding between them. Positions differ.
/// Columns beyond reach are there too and count nowhere.
struct ColumnStats {
  int32_t n_group = 1;            // query heads of this KV head
  int64_t stride = 0;             // floats from one query head's row of col and win to the next
  std::span<const float> col;     // (n_group, n_columns) by stride: col[j] = sum_i A[i][j]
  std::span<const float> win;     // the same, of rows i with i - j < w
  std::span<const SlotTag> tags;  // (n_columns)
  std::span<const float> scores;  // (n_columns): accumulated attention summed over the group, all turns
};

/// n_tokens: tokens in the conversation after this prefill; window: the layer's, 0 for none. A union that loses nothing
/// has a recovery of exactly 1, whatever the rounding. O(columns log columns).
HeadProfile profile_head(const ColumnStats& stats, int32_t n_tokens, int32_t window, const CacheConfig& config);

/// Columns that a rule keeps, ascending. Also the rule of later turns and of the oracle in the tests of evict.
/// tags, scores: (n_columns)
std::vector<int32_t> select_kept(std::span<const SlotTag> tags, std::span<const float> scores, const KeepRule& rule);

/// Keys within reach: those that a rule keeps without a look at their score, and the others.
struct KeyCounts {
  int32_t n_always = 0, n_rest = 0;
  int32_t n_kept(const KeepRule& rule) const { return n_always + std::min(n_rest, rule.n_by_score(n_always)); }
};
KeyCounts count_keys(std::span<const SlotTag> tags, const KeepRule& rule);

}  // namespace headroom
