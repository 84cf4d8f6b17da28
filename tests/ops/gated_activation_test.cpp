// gated_activation: act(gate) * up, for both activations.
#include "tests/ops/backend_fixture.h"

namespace headroom::test {

TEST_CASE("gated_activation is x / (1 + e^-x) or the tanh form of GELU, times up") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    const DeviceMatrix silu(*backend, {1, 3, {0, 1, -2}}), up(*backend, {1, 3, {5, 2, 1}});
    backend->gated_activation(Activation::silu, silu, up);
    Values found = silu.read();
    CHECK(found.at(0, 0) == 0);
    CHECK(found.at(0, 1) == Approx(2 / (1 + std::exp(-1.0))));
    CHECK(found.at(0, 2) == Approx(-2 / (1 + std::exp(2.0))));

    const DeviceMatrix gelu(*backend, {1, 3, {0, 1, -2}});
    backend->gated_activation(Activation::gelu_tanh, gelu, up);
    found = gelu.read();
    CHECK(found.at(0, 0) == 0);
    CHECK(found.at(0, 1) == Approx(2 * 0.841192).epsilon(1e-5));
    CHECK(found.at(0, 2) == Approx(-0.0454023).epsilon(1e-5));
  }
}

TEST_CASE("gated_activation agrees with the reference value by value, for large magnitudes too") {
  Random random(1);
  for (const Activation activation : {Activation::silu, Activation::gelu_tanh})
    for (const int32_t n_rows : {1, 3, 200})
      for (const int32_t n_cols : {1, 17, 1536}) {
        Values x = random_values(random, n_rows, n_cols, 5);
        const float extremes[] = {-1e4f, 1e4f, -87.5f, -103.0f, 88.8f, 1e-6f};
        for (size_t i = 0; i < std::size(extremes) && i < x.data.size(); ++i) x.data[i] = extremes[i];
        const Values up = random_values(random, n_rows, n_cols);
        Backend& slow = shared_backend("cpu-reference");
        const DeviceMatrix gated(slow, x);
        slow.gated_activation(activation, gated, DeviceMatrix(slow, up));
        const Values expected = gated.read();
        for (const auto& [name, backend] : tested_backends()) {
          const DeviceMatrix matrix(*backend, x);
          backend->gated_activation(activation, matrix, DeviceMatrix(*backend, up));
          const Values found = matrix.read();
          double worst = 0;
          for (size_t i = 0; i < found.data.size(); ++i) {
            const double difference = std::abs(double{found.data[i]} - expected.data[i]);
            // tanh near -1 cancels in GELU's tail, in f32 and in double; only the product with x is exact there
            worst = std::max(worst, difference / (std::abs(double{expected.data[i]}) + 1e-6));
          }
          CAPTURE(name, n_rows, n_cols);
          CHECK(worst < tolerance_of(name, 5e-6));
          CHECK(nmse(found, expected) <= max_float_nmse);
        }
      }
}

}  // namespace headroom::test
