// add: x += y over rows of any stride.
#include "tests/ops/backend_fixture.h"

namespace headroom::test {

TEST_CASE("add puts y onto x") {
  for (const auto& backend : {cpu(), reference()}) {
    const DeviceMatrix x(*backend, {1, 3, {1, 2, 3}}), y(*backend, {1, 3, {10, -2, 0.5f}});
    backend->add(x, y);
    CHECK(x.read().data == std::vector<float>{11, 0, 3.5f});
    CHECK(y.read().data == std::vector<float>{10, -2, 0.5f});
  }
}

TEST_CASE("add equals the reference bit for bit") {
  Random random(1);
  const auto fast = cpu(), slow = reference();
  for (const int32_t n_rows : {1, 3, 200})
    for (const int32_t n_cols : {1, 15, 16, 17, 576}) {
      const Values x = random_values(random, n_rows, n_cols), y = random_values(random, n_rows, n_cols);
      const DeviceMatrix x1(*fast, x), y1(*fast, y), x2(*slow, x), y2(*slow, y);
      fast->add(x1, y1);
      slow->add(x2, y2);
      CAPTURE(n_rows, n_cols);
      CHECK(x1.read().data == x2.read().data);
    }
}

TEST_CASE("fill_zero clears the matrix and nothing else") {
  for (const auto& backend : {cpu(), reference()}) {
    Random random(2);
    const DeviceMatrix x(*backend, random_values(random, 3, 17));
    backend->fill_zero(x);
    CHECK(x.read().data == std::vector<float>(3 * 17));
  }
}

}  // namespace headroom::test
