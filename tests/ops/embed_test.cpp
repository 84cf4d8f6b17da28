// embed: rows of the table by id, scaled; also for a quantised table.
#include "tests/ops/backend_fixture.h"
#include "tests/ops/random_weights.h"

namespace headroom::test {

TEST_CASE("embed copies the ids' rows, times the scale") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    const FloatWeight table(*backend, {3, 2, {1, 2, 3, 4, 5, 6}});
    const DeviceMatrix out(*backend, zeros(4, 2));
    backend->embed(table, std::vector<TokenId>{2, 0, 2, 1}, 10, out);
    CHECK(out.read().data == std::vector<float>{50, 60, 10, 20, 50, 60, 30, 40});
  }
}

TEST_CASE("embed reads a Q8_0 table") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    // One block per row: scale (f16), 32 signed bytes. Row 1 has scale 0.5 and values -16 … 15.
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

TEST_CASE("embed reads tables of every type, with rows of one block and of several") {
  Random random(1);
  const std::vector<TokenId> ids{4, 0, 36, 4, 1, 35, 17};
  for (const TensorType type : all_tensor_types)
    for (const int32_t n_blocks : {1, 3}) {
      const auto block = static_cast<int32_t>(type_traits(type).block_values);
      const int32_t n_cols = block > 1 ? n_blocks * block : n_blocks == 1 ? 5 : 77;
      const std::vector<std::byte> bytes = random_weights(type, 37, n_cols, random);
      const auto run = [&](Backend& backend) {
        const auto table =
            backend.load_weight({.name = "table", .type = type, .n_cols = n_cols, .n_rows = 37, .data = bytes});
        const DeviceMatrix out(backend, zeros(static_cast<int32_t>(ids.size()), n_cols));
        backend.embed(*table, ids, 1.5f, out);
        return out.read();
      };
      const Values expected = run(shared_backend("cpu-reference"));
      for (const auto& [name, backend] : tested_backends()) {
        CAPTURE(name, type_traits(type).name, n_cols);
        const Values found = run(*backend);
        CHECK(nmse(found, expected) <= max_float_nmse);
        CHECK(relative_error(found, expected) < 1e-6);
      }
    }
}

}  // namespace headroom::test
