// Moments of the queries that were seen ─► what queries to come are expected to attend to, as scores of tokens (Devoto
// et al. 2025, "Expected Attention"). Plain numbers only: the products with the keys are a backend's
// (Backend::expected_attention), what goes into them and what comes out of them is here.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/model_config.h"
#include "engine/base/types.h"

namespace headroom {

/// Positions behind the last token over which queries are averaged.
inline constexpr int32_t n_expected_positions = 512;
/// Positions whose queries do not count: attention sinks are unlike the rest.
inline constexpr int32_t n_skipped_queries = 4;
/// A head's scores sum to as much as the attention of this many rows, so that attention received later adds to them in
/// proportion.
inline constexpr int32_t n_expected_rows = 64;

/// Mean cosine and sine of a pair that RoPE rotates, over the next positions.
struct MeanRotation {
  double cosine = 0;
  double sine = 0;
};
/// frequencies: (n_rot / 2), radians a position. The same for all heads, and for layers with the same frequencies.
std::vector<MeanRotation> mean_rotations(std::span<const float> frequencies, int32_t next_position);

/// Mean m and covariance S of a head's queries before RoPE, turned by the mean rotation R of the next positions, as the
/// terms of scale * k . (R m) + scale^2 / 2 * k^T (R S R^T) k: the logarithm of the mean of exp(scale * q . k) over
/// normally distributed q.
/// moments: of one query head as in QueryMoments: shift, sum, products; n_rows: rows that were added, at least 1
/// out: (head_dim * (1 + head_dim)): linear, then quadratic, row-major
void expect_queries(std::span<const float> moments, int32_t head_dim, int32_t n_rows, RopeStyle style,
                    std::span<const MeanRotation> rotations, float scale, std::span<float> out);

/// Scores of a KV head's keys: the softmax over the keys within reach, averaged over the query group, plus a small
/// floor for every key, times the norm of its value. Keys beyond reach get 0. logits: (n_group, keys) by stride; norms,
/// tags: (keys)
std::vector<float> expected_scores(int32_t n_group, std::span<const float> logits, int64_t stride,
                                   std::span<const float> norms, std::span<const SlotTag> tags, int32_t reach_from);

}  // namespace headroom
