// rms_norm: rows of root mean square 1, times a gain.
#include "tests/ops/backend_fixture.h"

namespace headroom::test {

TEST_CASE("rms_norm divides by the root mean square and multiplies by the gain") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    const FloatWeight gain(*backend, {1, 2, {1, 10}});
    const DeviceMatrix x(*backend, {2, 2, {3, 4, 0, 0}}), out(*backend, zeros(2, 2));
    backend->rms_norm(x, gain, 0.5f, out);  // mean square of row 0: 12.5; with eps 13
    const double factor = 1 / std::sqrt(13.0);
    const Values found = out.read();
    CHECK(found.at(0, 0) == Approx(3 * factor));
    CHECK(found.at(0, 1) == Approx(40 * factor));
    CHECK(found.at(1, 0) == 0);
    CHECK(x.read().data == std::vector<float>{3, 4, 0, 0});
  }
}

TEST_CASE("rms_norm agrees with the reference, in place too") {
  Random random(1);
  for (const int32_t n_rows : {1, 3, 200})
    for (const int32_t n_cols : {1, 15, 16, 33, 80, 576}) {
      const Values x = random_values(random, n_rows, n_cols, 30), weights = random_values(random, 1, n_cols);
      Backend& slow = shared_backend("cpu-reference");
      const DeviceMatrix expected(slow, x);
      slow.rms_norm(expected, FloatWeight(slow, weights), 1e-5f, expected);
      for (const auto& [name, backend] : tested_backends()) {
        const FloatWeight gain(*backend, weights);
        const DeviceMatrix in_place(*backend, x), from(*backend, x), out(*backend, zeros(n_rows, n_cols));
        backend->rms_norm(from, gain, 1e-5f, out);
        backend->rms_norm(in_place, gain, 1e-5f, in_place);
        CAPTURE(name, n_rows, n_cols);
        CHECK(nmse(out.read(), expected.read()) <= max_float_nmse);
        CHECK(relative_error(out.read(), expected.read()) < tolerance_of(name, 1e-6));
        CHECK(in_place.read().data == out.read().data);
        CHECK(from.read().data == x.data);
      }
    }
}

}  // namespace headroom::test
