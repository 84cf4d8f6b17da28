// rope: rotation of pairs of a head's values by position * frequency.
#include "tests/ops/backend_fixture.h"

namespace headroom::test::rope_test {
namespace {

std::unique_ptr<DeviceBuffer> upload_floats(Backend& backend, const std::vector<float>& values) {
  auto buffer = backend.allocate(values.size() * sizeof(float));
  backend.upload(*buffer, 0, std::as_bytes(std::span(values)));
  return buffer;
}

std::vector<float> frequencies_of(float theta, int32_t n_rot) {
  std::vector<float> frequencies;
  for (int32_t i = 0; i < n_rot; i += 2)
    frequencies.push_back(static_cast<float>(std::pow(theta, -static_cast<double>(i) / n_rot)));
  return frequencies;
}

}  // namespace

TEST_CASE("rope turns (1, 0) at position 3 by three times the frequency") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    const auto frequencies = upload_floats(*backend, {0.5f, 0});
    const DeviceMatrix interleaved(*backend, {1, 6, {1, 0, 7, 8, 5, 6}});
    backend->rope(interleaved, 6, 3, RopeStyle::interleaved, 4, *frequencies);
    Values found = interleaved.read();
    CHECK(found.at(0, 0) == Approx(std::cos(1.5)));
    CHECK(found.at(0, 1) == Approx(std::sin(1.5)));
    CHECK(std::vector<float>(found.data.begin() + 2, found.data.end()) == std::vector<float>{7, 8, 5, 6});

    const DeviceMatrix neox(*backend, {1, 6, {1, 7, 0, 8, 5, 6}});
    backend->rope(neox, 6, 3, RopeStyle::neox, 4, *frequencies);
    found = neox.read();
    CHECK(found.at(0, 0) == Approx(std::cos(1.5)));
    CHECK(found.at(0, 2) == Approx(std::sin(1.5)));
    CHECK(found.at(0, 1) == 7);
    CHECK(found.at(0, 3) == 8);
  }
}

TEST_CASE("rope agrees with the reference at any position, also after other positions and frequencies") {
  Random random(1);
  for (const int32_t head_dim : {16, 64, 80, 256})
    for (const RopeStyle style : {RopeStyle::interleaved, RopeStyle::neox})
      for (const float theta : {10000.0f, 1e6f})
        for (const int32_t n_rows : {1, 3, 65})
          for (const int32_t position0 : {0, 1, 63, 131000}) {
            const int32_t n_rot = head_dim == 80 ? 48 : head_dim;
            const Values x = random_values(random, n_rows, 3 * head_dim);
            const std::vector<float> frequencies = frequencies_of(theta, n_rot);
            Backend& slow = shared_backend("cpu-reference");
            const DeviceMatrix expected(slow, x);
            slow.rope(expected, head_dim, position0, style, n_rot, *upload_floats(slow, frequencies));
            for (const auto& [name, backend] : tested_backends()) {
              const DeviceMatrix found(*backend, x);
              backend->rope(found, head_dim, position0, style, n_rot, *upload_floats(*backend, frequencies));
              CAPTURE(name, head_dim, theta, n_rows, position0);
              CHECK(nmse(found.read(), expected.read()) <= max_float_nmse);
              CHECK(relative_error(found.read(), expected.read()) < tolerance_of(name, 1e-6));
            }
          }
}

}  // namespace headroom::test::rope_test
