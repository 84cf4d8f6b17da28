// Profiles of all heads ─► the threshold that leaves a wanted share of the tokens. No forward pass: what each policy
// would keep follows from counts.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/policy.h"

namespace headroom {

/// r_local = r_frequent that are tried.
inline constexpr std::array<double, 3> solved_shares{0.3, 0.2, 0.1};

/// A head as it stands with all of its tokens.
struct SolvedHead {
  std::vector<HeadProfile> profiles;  // measured with each share
  std::span<const SlotTag> tags;      // all of its keys
  int32_t window = 0;
};

struct SolvedThreshold {
  size_t share = 0;  // index into the shares
  double threshold = 0;
};

/// Shares of the tokens within reach that `local` and `frequent` keep.
struct KeepShares {
  double local = 0, frequent = 0;
};

/// For each of the shares the largest threshold with which all heads together keep at most `keep` of the tokens within
/// reach, or the smallest threshold if every one keeps more. Returns the one whose heads recover most on average.
SolvedThreshold solve_threshold(std::span<const SolvedHead> heads, std::span<const KeepShares> shares, int32_t n_tokens,
                                const CacheConfig& config);
/// The same over solved_shares.
SolvedThreshold solve_threshold(std::span<const SolvedHead> heads, int32_t n_tokens, const CacheConfig& config);

}  // namespace headroom
