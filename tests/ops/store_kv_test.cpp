// store_kv: K and V of a block into the layer's f16 scratch, rounded to nearest with ties to even.
#include <algorithm>
#include <limits>

#include "engine/backend/cpu/half.h"
#include "tests/ops/backend_fixture.h"

namespace headroom::test::store_kv_test {
namespace {

std::vector<uint16_t> read_halves(Backend& backend, const DeviceBuffer& buffer) {
  std::vector<uint16_t> halves(buffer.size_bytes() / 2);
  backend.download(buffer, 0, std::as_writable_bytes(std::span(halves)));
  return halves;
}

}  // namespace

TEST_CASE("float_to_half rounds to nearest, ties to even, and half_to_float is its inverse") {
  CHECK(float_to_half(1.0f) == 0x3c00);
  CHECK(float_to_half(-2.0f) == 0xc000);
  CHECK(float_to_half(1.0f + 0x1p-11f) == 0x3c00);      // a tie goes down to even
  CHECK(float_to_half(1.0f + 3 * 0x1p-11f) == 0x3c02);  // a tie goes up to even
  CHECK(float_to_half(65504.0f) == 0x7bff);
  CHECK(float_to_half(65519.0f) == 0x7bff);
  CHECK(float_to_half(65520.0f) == 0x7c00);  // infinity
  CHECK(float_to_half(1e30f) == 0x7c00);
  CHECK(float_to_half(0x1p-24f) == 1);  // the smallest subnormal
  CHECK(float_to_half(0x1p-25f) == 0);  // a tie
  CHECK(float_to_half(-0.0f) == 0x8000);
  for (uint32_t half = 0; half < 0x10000; ++half) {
    const bool is_nan = (half & 0x7c00) == 0x7c00 && (half & 0x3ff) != 0;
    const uint16_t again = float_to_half(half_to_float(static_cast<uint16_t>(half)));
    if (is_nan ? (again & 0x7fff) <= 0x7c00 : again != half) FAIL("half " << half << " becomes " << again);
  }
}

TEST_CASE("store_kv writes K rows, then V rows behind all of K, and touches no other row") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    const DeviceMatrix k(*backend, {1, 2, {1, 2}}), v(*backend, {1, 2, {-1, 0.5f}});
    const auto buffer = backend->allocate(2 * 3 * 2 * 2);
    const std::vector<uint16_t> before(12, 0x1234);
    backend->upload(*buffer, 0, std::as_bytes(std::span(before)));
    backend->store_kv(k, v, {buffer.get(), 3, 2}, 1);
    const std::vector<uint16_t> expected{0x1234, 0x1234, 0x3c00, 0x4000, 0x1234, 0x1234,
                                         0x1234, 0x1234, 0xbc00, 0x3800, 0x1234, 0x1234};
    CHECK(read_halves(*backend, *buffer) == expected);
  }
}

TEST_CASE("store_kv equals the reference bit for bit") {
  Random random(1);
  for (const int32_t n_rows : {1, 3, 200})
    for (const int32_t row_values : {2, 16, 30, 192}) {
      Values k = random_values(random, n_rows, row_values), v = random_values(random, n_rows, row_values, 1e-5f);
      k.data[0] = 7e4f;
      k.data[1] = -65519.99f;
      const auto stored = [&](Backend& backend) {
        const auto to = backend.allocate(static_cast<size_t>(4 * n_rows * row_values));
        backend.store_kv(DeviceMatrix(backend, k), DeviceMatrix(backend, v), {to.get(), n_rows, row_values}, 0);
        return read_halves(backend, *to);
      };
      const std::vector<uint16_t> expected = stored(shared_backend("cpu-reference"));
      for (const auto& [name, backend] : tested_backends()) {
        CAPTURE(name, n_rows, row_values);
        CHECK(stored(*backend) == expected);
      }
    }
}

TEST_CASE("store_kv rounds every kind of number as float_to_half does") {
  // Around each f16 number: itself, the tie above it, and the neighbours of both, one bit away.
  std::vector<float> values;
  for (uint32_t half = 0; half < 0x7c00; ++half) {
    const float low = half_to_float(static_cast<uint16_t>(half));
    const float high = half == 0x7bff ? 65536.0f : half_to_float(static_cast<uint16_t>(half + 1));
    const float tie = low + (high - low) / 2;
    for (const float value : {low, std::nextafter(low, high), std::nextafter(tie, low), tie, std::nextafter(tie, high)})
      values.push_back(value);
  }
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float value : {65536.0f, 1e30f, std::numeric_limits<float>::max(), infinity,
                            std::numeric_limits<float>::min(), std::numeric_limits<float>::denorm_min()})
    values.push_back(value);
  while (values.size() % 32 != 0) values.push_back(0);
  const auto n_cols = 32, n_rows = static_cast<int32_t>(values.size()) / n_cols;
  const Values k{n_rows, n_cols, values};
  Values v = k;
  std::vector<uint16_t> expected;
  for (const float value : values) expected.push_back(float_to_half(value));
  for (float& value : v.data) expected.push_back(float_to_half(value = -value));
  for (const auto& [name, backend] : all_backends()) {
    const auto to = backend->allocate(expected.size() * sizeof(uint16_t));
    backend->store_kv(DeviceMatrix(*backend, k), DeviceMatrix(*backend, v), {to.get(), n_rows, n_cols}, 0);
    const std::vector<uint16_t> found = read_halves(*backend, *to);
    CAPTURE(name);
    const auto wrong = std::mismatch(found.begin(), found.end(), expected.begin());
    CHECK(wrong.first - found.begin() == static_cast<int64_t>(expected.size()));  // the first wrong one, if any
  }
}

TEST_CASE("store_kv keeps what is not a number") {
  const float bits[] = {std::bit_cast<float>(0x7fc00000u), std::bit_cast<float>(0x7f800001u),
                        std::bit_cast<float>(0xffc12345u), std::bit_cast<float>(0xff802000u)};
  for (const auto& [name, backend] : all_backends()) {
    const auto to = backend->allocate(16);
    const DeviceMatrix values(*backend, {1, 4, {bits, bits + 4}});
    backend->store_kv(values, values, {to.get(), 1, 4}, 0);
    INFO(name);
    for (const uint16_t half : read_halves(*backend, *to)) CHECK((half & 0x7fff) > 0x7c00);
  }
}

}  // namespace headroom::test::store_kv_test
