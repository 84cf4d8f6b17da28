// Importance and a share, or bytes ─► how many tokens each head may hold. Stands between a configuration and the rules
// of the heads; needs the number of tokens and the model's table only, no attention, so that budgets are known before a
// prompt is read, and a what-if is a call of the same function.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/policy.h"

namespace headroom {

/// What a head could hold, and what it holds in any case.
struct HeadCapacity {
  int32_t n_reach = 0;      // tokens within its layer's window
  int32_t n_protected = 0;  // of them kept without a look at their score
};

/// `shared`: head h may hold b_h = n_h * sigmoid(x + beta * ln c_h) of its n_h tokens, at least 0.4 * keep * n_h and
/// what is protected, at most n_h; x is such that all heads together hold keep of all tokens (where the least of each
/// head is more than that already, the least). Every budget grows with keep, so a smaller keep is a cut in the same
/// order. rooms: (heads). Where config.head_importance is not empty it has as many values.
std::vector<int32_t> shared_budgets(const CacheConfig& config, double keep, std::span<const HeadCapacity> rooms);

/// Bytes of the pages that heads with these budgets hold at most while tokens come and go (one slot more each).
int64_t budget_bytes(std::span<const int32_t> budgets, int64_t page_bytes);

/// What a head with a budget could protect.
struct HeadClaims {
  int32_t n_reach = 0;
  int32_t n_first = 0;                // of the first 4 tokens, where they are protected
  std::vector<int32_t> by_class{};    // positions of others that their class protects, ascending
  int32_t n_last = n_last_of_answer;  // 0 where the policy has no `local`

  /// Tokens that are protected: those by class beside the last ones, since they stay when the last are others.
  int32_t n_protected(const Protection& protection) const;
};

/// How much of it is protected under a bound in bytes: all, where its pages fit. Else tokens that are protected by
/// their class give way, the oldest first and no more than it takes; where that is not enough the last tokens do, down
/// to 16.
Protection protection_in_bytes(std::span<const HeadClaims> heads, int64_t kv_budget_bytes, int64_t page_bytes);

/// The least bound in bytes: the first 4 and the last 16 tokens of every head, in whole pages with room for the next
/// token. windows: (layers)
int64_t least_budget_bytes(std::span<const int32_t> windows, int32_t n_kv_heads, int64_t page_bytes);
/// Throws Error where the configuration has a bound in bytes that is less than the least, and names the least.
void check_budget_bytes(const CacheConfig& config, int64_t least_bytes);

/// The budgets of the largest share, at most `keep`, whose pages fit in kv_budget_bytes. Throws Error where what is
/// protected alone does not fit, which a bound of least_budget_bytes or more never does.
std::vector<int32_t> shared_budgets_in_bytes(const CacheConfig& config, double keep,
                                             std::span<const HeadCapacity> rooms, int64_t page_bytes);

/// `pooled`: budgets of a layer's heads, by the number of each head's tokens among the best keep of all; a head has at
/// least a fifth of its even share, and what is protected.
/// scores: one list a head, of the tokens that are not protected, in any order.
std::vector<int32_t> pooled_budgets(double keep, std::span<const HeadCapacity> rooms,
                                    std::span<const std::vector<float>> scores);

}  // namespace headroom
