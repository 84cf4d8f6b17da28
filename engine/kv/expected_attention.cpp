// Expected attention before and after the products with the keys. See expected_attention.h.
#include "engine/kv/expected_attention.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace headroom {
namespace {

// What every key may expect beside its share of the softmax, as a share of one query's attention: a large value can
// make a key worth keeping that no predicted query looks at.
constexpr double expected_floor = 0.02;

/// Turns the pairs of n values that lie `step` apart.
void rotate(std::span<const MeanRotation> means, RopeStyle style, double* values, size_t step) {
  for (size_t pair = 0; pair < means.size(); ++pair) {
    double& a = values[step * (style == RopeStyle::interleaved ? 2 * pair : pair)];
    double& b = values[step * (style == RopeStyle::interleaved ? 2 * pair + 1 : pair + means.size())];
    const double a0 = a, b0 = b;
    a = a0 * means[pair].cosine - b0 * means[pair].sine;
    b = a0 * means[pair].sine + b0 * means[pair].cosine;
  }
}

}  // namespace

std::vector<MeanRotation> mean_rotations(std::span<const float> frequencies, int32_t next_position) {
  std::vector<MeanRotation> means;
  for (const float frequency : frequencies) {
    MeanRotation mean;
    for (int32_t t = 0; t < n_expected_positions; ++t) {
      const double angle = double{frequency} * (next_position + t);
      mean.cosine += std::cos(angle) / n_expected_positions;
      mean.sine += std::sin(angle) / n_expected_positions;
    }
    means.push_back(mean);
  }
  return means;
}

void expect_queries(std::span<const float> moments, int32_t head_dim, int32_t n_rows, RopeStyle style,
                    std::span<const MeanRotation> rotations, float scale, std::span<float> out) {
  const auto d = static_cast<size_t>(head_dim);
  assert(n_rows > 0 && moments.size() == d * (d + 2) && out.size() == d * (d + 1));
  const std::span<const float> shift = moments.first(d), sum = moments.subspan(d, d), products = moments.subspan(2 * d);
  std::vector<double> mean(d), covariance(d * d);
  for (size_t i = 0; i < d; ++i) {
    mean[i] = shift[i] + double{sum[i]} / n_rows;
    for (size_t j = 0; j < d; ++j)
      covariance[i * d + j] =
          double{products[i * d + j]} / n_rows - double{sum[i]} / n_rows * (double{sum[j]} / n_rows);
  }
  rotate(rotations, style, mean.data(), 1);
  for (size_t row = 0; row < d; ++row) rotate(rotations, style, covariance.data() + row * d, 1);
  for (size_t column = 0; column < d; ++column) rotate(rotations, style, covariance.data() + column, d);
  for (size_t i = 0; i < d; ++i) out[i] = static_cast<float>(scale * mean[i]);
  for (size_t i = 0; i < d * d; ++i) out[d + i] = static_cast<float>(0.5 * scale * scale * covariance[i]);
}

std::vector<float> expected_scores(int32_t n_group, std::span<const float> logits, int64_t stride,
                                   std::span<const float> norms, std::span<const SlotTag> tags, int32_t reach_from) {
  std::vector<double> expected(tags.size());
  std::vector<float> weights(tags.size());
  int64_t n_reach = 0;
  for (const SlotTag tag : tags) n_reach += tag_position(tag) >= reach_from ? 1 : 0;
  for (int32_t g = 0; g < n_group; ++g) {
    const float* row = logits.data() + g * stride;
    float largest = -3e38f;
    for (size_t j = 0; j < tags.size(); ++j)
      if (tag_position(tags[j]) >= reach_from) largest = std::max(largest, row[j]);
    double sum = 0;
    for (size_t j = 0; j < tags.size(); ++j) {
      weights[j] = tag_position(tags[j]) >= reach_from ? std::exp(row[j] - largest) : 0.0f;
      sum += weights[j];
    }
    for (size_t j = 0; j < tags.size(); ++j) expected[j] += weights[j] / sum / n_group;
  }
  double total = 0;
  for (size_t j = 0; j < tags.size(); ++j) {
    const bool reached = tag_position(tags[j]) >= reach_from;
    expected[j] = reached ? (expected[j] + expected_floor / static_cast<double>(n_reach)) * norms[j] : 0;
    total += expected[j];
  }
  const double unit = total > 0 ? n_expected_rows * n_group / total : 0;
  std::vector<float> scores(tags.size());
  for (size_t j = 0; j < tags.size(); ++j) scores[j] = static_cast<float>(expected[j] * unit);
  return scores;
}

}  // namespace headroom
