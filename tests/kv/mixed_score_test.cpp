// Mixed scores against numbers computed by hand.
#include "engine/kv/mixed_score.h"

#include <catch2/catch.hpp>

#include "engine/kv/expected_attention.h"

namespace headroom {

TEST_CASE("mixed scores by hand: weighted shares of what is expected, of all rows and of the last ones") {
  // Two query heads over four columns; the first does not compete, and its attention reduces no share.
  const std::vector<float> expected{7, 2, 1, 1}, norms{1, 2, 1, 1};  // of 4
  const std::vector<float> all_rows{90, 6, 3, 1, 70, 2, 5, 3};       // by column: 160; 16, 8, 4 of 28
  const std::vector<float> last_rows{50, 0, 2, 1, 40, 2, 1, 2};      // 90; 4, 3, 3 of 10
  const std::vector<float> scores = mixed_scores(2, expected, all_rows, last_rows, norms, {false, true, true, true});
  REQUIRE(scores.size() == 4);
  const double unit = n_expected_rows * 2;
  CHECK(scores[0] == Approx((0.5 * 7 / 4 + 2 * 160 / 28.0 + 90 / 10.0) * unit));
  CHECK(scores[1] == Approx((0.5 * 2 / 4 + 2 * 16 / 28.0 + 4 / 10.0) * unit));
  CHECK(scores[2] == Approx((0.5 * 1 / 4 + 2 * 8 / 28.0 + 3 / 10.0) * unit));
  CHECK(scores[3] == Approx((0.5 * 1 / 4 + 2 * 4 / 28.0 + 3 / 10.0) * unit));
}

TEST_CASE("every fourth place of a mixed order goes to what is expected, though it received little") {
  // From column 1 to 6, received attention falls and expected attention rises; column 0 is protected.
  const std::vector<float> expected{0, 1, 2, 3, 4, 5, 6}, norms(7, 1);
  const std::vector<float> received{900, 6, 5, 4, 3, 2, 1};
  const std::vector<float> scores =
      mixed_scores(1, expected, received, received, norms, {false, true, true, true, true, true, true});
  // By turns: 1, 2, 3 by what they received, 6 is expected; 4, 5 come last. The sums themselves stay what they were.
  std::vector<double> sums;
  for (int j = 1; j <= 6; ++j) sums.push_back((0.5 * j / 21 + 3 * (7 - j) / 21.0) * n_expected_rows);
  CHECK(scores[1] == Approx(sums[0]));
  CHECK(scores[2] == Approx(sums[1]));
  CHECK(scores[3] == Approx(sums[2]));
  CHECK(scores[6] == Approx(sums[3]));
  CHECK(scores[4] == Approx(sums[4]));
  CHECK(scores[5] == Approx(sums[5]));
}

TEST_CASE("mixed scores are zeros where nothing competes, or what competes received nothing") {
  const std::vector<float> some{1, 0}, norms{1, 1}, zeros{0, 0};
  CHECK(mixed_scores(1, some, some, some, norms, {false, false}) == zeros);
  CHECK(mixed_scores(1, some, some, some, norms, {false, true}) == zeros);
}

}  // namespace headroom
