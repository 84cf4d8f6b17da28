// embed: rows of the table by id, scaled; for a quantised table too.
#include "tests/ops/backend_fixture.h"

namespace headroom::test {

TEST_CASE("embed copies the ids' rows, times the scale") {
  for (const auto& backend : {cpu(), reference()}) {
    const FloatWeight table(*backend, {3, 2, {1, 2, 3, 4, 5, 6}});
    const DeviceMatrix out(*backend, zeros(4, 2));
    backend->embed(table, std::vector<TokenId>{2, 0, 2, 1}, 10, out);
    CHECK(out.read().data == std::vector<float>{50, 60, 10, 20, 50, 60, 30, 40});
  }
}

TEST_CASE("embed reads a Q8_0 table") {
  for (const auto& backend : {cpu(), reference()}) {
    // One block a row: scale (f16), 32 signed bytes. Row 1 has scale 0.5 and values -16 … 15.
    std::vector<std::byte> bytes(2 * 34);
    bytes[34] = std::byte{0x00};
    bytes[35] = std::byte{0x38};
    for (int i = 0; i < 32; ++i) bytes[static_cast<size_t>(36 + i)] = static_cast<std::byte>(i - 16);
    const auto table =
        backend->load_weight({.name = "table", .type = TensorType::q8_0, .n_cols = 32, .n_rows = 2, .data = bytes});
    const DeviceMatrix out(*backend, zeros(1, 32));
    backend->embed(*table, std::vector<TokenId>{1}, 1, out);
    for (int32_t i = 0; i < 32; ++i) CHECK(out.read().at(0, i) == 0.5f * static_cast<float>(i - 16));
  }
}

}  // namespace headroom::test
