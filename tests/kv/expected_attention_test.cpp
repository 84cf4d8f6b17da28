// Expected attention on the host: moments to terms over keys, logits to scores.
#include "engine/kv/expected_attention.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

namespace headroom {
namespace {

std::vector<SlotTag> plain_tags(int32_t n) {
  std::vector<SlotTag> tags;
  for (int32_t i = 0; i < n; ++i) tags.push_back(make_tag(i, TokenClass::plain));
  return tags;
}

}  // namespace

TEST_CASE("without RoPE the terms are mean and covariance, scaled") {
  // Queries (1, 2) and (3, 6) about the shift (1, 1): mean (2, 4), covariance ((1, 2), (2, 4)).
  const std::vector<float> moments{1, 1, 2, 6, 4, 10, 10, 26};
  std::vector<float> out(6);
  expect_queries(moments, 2, 2, RopeStyle::neox, {}, 0.5f, out);
  CHECK(out[0] == Approx(1));
  CHECK(out[1] == Approx(2));
  CHECK(out[2] == Approx(0.125));
  CHECK(out[3] == Approx(0.25));
  CHECK(out[4] == Approx(0.25));
  CHECK(out[5] == Approx(0.5));
}

TEST_CASE("RoPE turns mean and covariance by the mean rotation of the next positions") {
  std::mt19937 random(2);
  std::normal_distribution<double> normal;
  constexpr int32_t d = 4, n = 9, next_position = 77;
  const std::vector<float> frequencies{0.3f, 0.01f};
  for (const RopeStyle style : {RopeStyle::interleaved, RopeStyle::neox}) {
    std::vector<std::vector<double>> queries(n, std::vector<double>(d));
    std::vector<float> moments(d * (d + 2));
    for (auto& query : queries) {
      for (double& value : query) value = normal(random) + 2;
      for (size_t i = 0; i < d; ++i) {
        moments[d + i] += static_cast<float>(query[i]);
        for (size_t j = 0; j < d; ++j) moments[2 * d + i * d + j] += static_cast<float>(query[i] * query[j]);
      }
    }
    std::vector<float> out(d * (d + 1));
    expect_queries(moments, d, n, style, mean_rotations(frequencies, next_position), 1, out);

    // The same by matrices: R is the mean of the rotations, as a whole d x d matrix.
    double rotation[d][d] = {};
    for (int32_t t = 0; t < n_expected_positions; ++t) {
      for (size_t pair = 0; pair < 2; ++pair) {
        const size_t a = style == RopeStyle::interleaved ? 2 * pair : pair;
        const size_t b = style == RopeStyle::interleaved ? 2 * pair + 1 : pair + 2;
        const double angle = double{frequencies[pair]} * (next_position + t);
        rotation[a][a] += std::cos(angle) / n_expected_positions;
        rotation[b][b] += std::cos(angle) / n_expected_positions;
        rotation[a][b] -= std::sin(angle) / n_expected_positions;
        rotation[b][a] += std::sin(angle) / n_expected_positions;
      }
    }
    std::vector<std::vector<double>> turned(n, std::vector<double>(d));
    std::vector<double> mean(d);
    for (size_t q = 0; q < n; ++q)
      for (size_t i = 0; i < d; ++i) {
        for (size_t j = 0; j < d; ++j) turned[q][i] += rotation[i][j] * queries[q][j];
        mean[i] += turned[q][i] / n;
      }
    for (size_t i = 0; i < d; ++i) {
      CHECK(out[i] == Approx(mean[i]).epsilon(1e-5));
      for (size_t j = 0; j < d; ++j) {
        double covariance = 0;
        for (size_t q = 0; q < n; ++q) covariance += (turned[q][i] - mean[i]) * (turned[q][j] - mean[j]) / n;
        CHECK(out[d + i * d + j] == Approx(covariance / 2).epsilon(1e-4).margin(1e-5));
      }
    }
  }
}

TEST_CASE("a mean far from zero does not take the digits of the variance") {
  std::mt19937 random(4);
  std::normal_distribution<float> normal(0, 0.01f);
  constexpr int32_t n = 5000;
  const float shift = 1000;
  std::vector<float> moments{shift, 0, 0};
  double sum = 0, squares = 0;
  for (int32_t i = 0; i < n; ++i) {
    const float offset = normal(random);
    moments[1] += offset;
    moments[2] += offset * offset;
    sum += offset;
    squares += double{offset} * offset;
  }
  std::vector<float> out(2);
  expect_queries(moments, 1, n, RopeStyle::neox, {}, 1, out);
  CHECK(out[0] == Approx(1000));
  CHECK(2 * out[1] == Approx(squares / n - sum / n * sum / n).epsilon(1e-3));
}

TEST_CASE("scores by hand: the softmax of each query head, meaned, with a little for all, times the norm") {
  const float ln3 = std::log(3.0f);
  // Two query heads over two columns: (1/4, 3/4) and (1/2, 1/2); mean (3/8, 5/8); plus 0.02 / 2.
  const std::vector<float> logits{0, ln3, 7, 7}, norms{2, 1};
  const std::vector<float> scores = expected_scores(2, logits, 2, norms, plain_tags(2), 0);
  const double first = (0.375 + 0.01) * 2, second = 0.625 + 0.01;
  CHECK(scores[0] == Approx(first / (first + second) * n_expected_rows * 2));
  CHECK(scores[1] == Approx(second / (first + second) * n_expected_rows * 2));
}

TEST_CASE("columns beyond reach expect nothing and take nothing, however large their logits") {
  const std::vector<float> logits{3e38f, 1, 1}, norms{5, 1, 1};
  const std::vector<float> scores = expected_scores(1, logits, 3, norms, plain_tags(3), 1);
  CHECK(scores[0] == 0);
  CHECK(scores[1] == Approx(n_expected_rows / 2.0));
  CHECK(scores[2] == scores[1]);
}

}  // namespace headroom
