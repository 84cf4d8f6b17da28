// add: x += y over rows of any stride.
#include "tests/ops/backend_fixture.h"

namespace headroom::test {

TEST_CASE("add puts y onto x") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    const DeviceMatrix x(*backend, {1, 3, {1, 2, 3}}), y(*backend, {1, 3, {10, -2, 0.5f}});
    backend->add(x, y);
    CHECK(x.read().data == std::vector<float>{11, 0, 3.5f});
    CHECK(y.read().data == std::vector<float>{10, -2, 0.5f});
  }
}

TEST_CASE("add equals the reference bit for bit") {
  Random random(1);
  for (const int32_t n_rows : {1, 3, 200})
    for (const int32_t n_cols : {1, 15, 16, 17, 576}) {
      const Values x = random_values(random, n_rows, n_cols), y = random_values(random, n_rows, n_cols);
      Backend& slow = shared_backend("cpu-reference");
      const DeviceMatrix expected(slow, x);
      slow.add(expected, DeviceMatrix(slow, y));
      for (const auto& [name, backend] : tested_backends()) {
        const DeviceMatrix found(*backend, x), added(*backend, y);
        backend->add(found, added);
        CAPTURE(name, n_rows, n_cols);
        CHECK(found.read().data == expected.read().data);
        CHECK(added.read().data == y.data);
      }
    }
}

TEST_CASE("fill_zero clears the matrix and nothing else") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    Random random(2);
    const DeviceMatrix x(*backend, random_values(random, 3, 17)), dense(*backend, random_values(random, 5, 3), {3, 0});
    backend->fill_zero(x);
    backend->fill_zero(dense);
    CHECK(x.read().data == std::vector<float>(3 * 17));
    CHECK(dense.read().data == std::vector<float>(5 * 3));
  }
}

}  // namespace headroom::test
