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
  std::array<HeadProfile, solved_shares.size()> profiles;  // measured with each share
  std::span<const SlotTag> tags;                           // all of its columns
  int32_t window = 0;
};

struct SolvedThreshold {
  size_t share = 0;  // index into solved_shares
  double threshold = 0;
};

/// For each share the largest threshold with which all heads together keep at most `keep` of the columns within reach
/// (the smallest there is, where every threshold keeps more); of these the one whose heads recover most in the mean.
SolvedThreshold solve_threshold(std::span<const SolvedHead> heads, int32_t n_tokens, const CacheConfig& config);

}  // namespace headroom
