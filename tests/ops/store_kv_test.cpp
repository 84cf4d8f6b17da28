// store_kv: K and V of a block into the layer's f16 scratch, rounded to nearest with ties to even.
#include "engine/backend/cpu/half.h"
#include "tests/ops/backend_fixture.h"

namespace headroom::test {
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
  for (const auto& backend : {cpu(), reference()}) {
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
  const auto fast = cpu(), slow = reference();
  for (const int32_t n_rows : {1, 3, 200})
    for (const int32_t row_values : {2, 16, 30, 192}) {
      Values k = random_values(random, n_rows, row_values), v = random_values(random, n_rows, row_values, 1e-5f);
      k.data[0] = 7e4f;
      k.data[1] = -65519.99f;
      const size_t bytes = static_cast<size_t>(4 * n_rows * row_values);
      const auto to1 = fast->allocate(bytes), to2 = slow->allocate(bytes);
      fast->store_kv(DeviceMatrix(*fast, k), DeviceMatrix(*fast, v), {to1.get(), n_rows, row_values}, 0);
      slow->store_kv(DeviceMatrix(*slow, k), DeviceMatrix(*slow, v), {to2.get(), n_rows, row_values}, 0);
      CAPTURE(n_rows, row_values);
      CHECK(read_halves(*fast, *to1) == read_halves(*slow, *to2));
    }
}

}  // namespace headroom::test
