// Head importance and a share (or a limit in bytes) ─► how many tokens each head may hold. Used between a configuration
// and the keep rules of the heads. The functions need only token counts and the model's table, no attention. So budgets
// are known before prefill, and a what-if calls the same function.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/policy.h"

namespace headroom {

/// How many tokens a head can hold, and how many it always holds.
struct HeadCapacity {
  int32_t n_reach = 0;      // tokens within its layer's window
  int32_t n_protected = 0;  // how many of those are kept whatever their score
};

/// `shared`: head h may hold b_h = n_h * sigmoid(x + beta * ln c_h) of its n_h tokens. b_h is at least 0.4 * keep *
/// n_h, at least the protected tokens, and at most n_h. x is solved so that all heads together hold the share `keep` of
/// all tokens. If the minimums alone exceed that, each head has its minimum. Every budget grows with keep, so a smaller
/// keep only evicts. rooms: (heads). config.head_importance is empty or has one value per head.
std::vector<int32_t> shared_budgets(const CacheConfig& config, double keep, std::span<const HeadCapacity> rooms);

/// Upper bound of the bytes of all pages under these budgets. Each head counts one extra slot, since it appends a token
/// before it evicts one.
int64_t budget_bytes(std::span<const int32_t> budgets, int64_t page_bytes);

/// The tokens that a head with a budget wants to protect.
struct HeadClaims {
  int32_t n_reach = 0;
  int32_t n_first = 0;                // protected tokens among the first 4
  std::vector<int32_t> by_class{};    // ascending positions of other tokens that their class protects
  int32_t n_last = n_last_of_answer;  // 0 if the policy has no `local`

  /// Number of protected tokens. Tokens protected by class are counted separately from the last ones, since they stay
  /// when the window of last tokens moves on.
  int32_t n_protected(const Protection& protection) const;
};

/// The largest protection whose pages fit in kv_budget_bytes. If not everything fits, tokens protected by their class
/// lose protection first, the oldest first and no more than needed. If that is not enough, fewer last tokens are
/// protected, but never fewer than 16.
Protection protection_in_bytes(std::span<const HeadClaims> heads, int64_t kv_budget_bytes, int64_t page_bytes);

/// The smallest limit in bytes that is accepted. It holds the first 4 and the last 16 tokens of every head, in whole
/// pages with room for the next token. windows: (layers)
int64_t least_budget_bytes(std::span<const int32_t> windows, int32_t n_kv_heads, int64_t page_bytes);
/// Throws Error if the configuration has a limit in bytes below least_bytes; the message names least_bytes.
void check_budget_bytes(const CacheConfig& config, int64_t least_bytes);

/// The budgets of the largest share, at most `keep`, whose pages fit in kv_budget_bytes. Throws Error if the protected
/// tokens alone do not fit. That cannot happen with a limit of least_budget_bytes or more.
std::vector<int32_t> shared_budgets_in_bytes(const CacheConfig& config, double keep,
                                             std::span<const HeadCapacity> rooms, int64_t page_bytes);

/// `pooled`: budgets of the heads of one layer. The heads compete: a head's budget is the number of its tokens among
/// the best share `keep` of all tokens. It is at least a fifth of the head's even share, and at least its protected
/// tokens. scores: one list per head with the scores of the tokens that are not protected, in any order.
std::vector<int32_t> pooled_budgets(double keep, std::span<const HeadCapacity> rooms,
                                    std::span<const std::vector<float>> scores);

}  // namespace headroom
