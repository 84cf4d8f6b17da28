// Mixed scores against numbers by hand.
#include "engine/kv/mixed.h"

#include <catch2/catch.hpp>

#include "engine/kv/expected.h"

namespace headroom {

TEST_CASE("mixed scores by hand: weighted shares of what is expected, of all rows and of the last ones") {
  // Two query heads over four columns; the first does not compete, and its attention makes no share smaller.
  const std::vector<float> expected{7, 1, 1, 2}, norms{1, 2, 1, 1};  // of 4
  const std::vector<float> all_rows{90, 6, 3, 1, 70, 2, 5, 3};       // by column: 160; 16, 8, 4 of 28
  const std::vector<float> last_rows{50, 0, 1, 1, 40, 1, 1, 5};      // 90; 2, 2, 6 of 10
  const std::vector<float> scores = mixed_scores(2, expected, all_rows, last_rows, norms, {false, true, true, true});
  REQUIRE(scores.size() == 4);
  const double unit = n_expected_rows * 2;
  CHECK(scores[0] == Approx((0.5 * 7 / 4 + 2 * 160 / 28.0 + 90 / 10.0) * unit));
  CHECK(scores[1] == Approx((0.5 * 1 / 4 + 2 * 16 / 28.0 + 2 / 10.0) * unit));
  CHECK(scores[2] == Approx((0.5 * 1 / 4 + 2 * 8 / 28.0 + 2 / 10.0) * unit));
  CHECK(scores[3] == Approx((0.5 * 2 / 4 + 2 * 4 / 28.0 + 6 / 10.0) * unit));
}

TEST_CASE("mixed scores are zeros where nothing competes, or what competes received nothing") {
  const std::vector<float> some{1, 0}, norms{1, 1}, zeros{0, 0};
  CHECK(mixed_scores(1, some, some, some, norms, {false, false}) == zeros);
  CHECK(mixed_scores(1, some, some, some, norms, {false, true}) == zeros);
}

}  // namespace headroom
