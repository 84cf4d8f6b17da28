// A cache of 8 bits: how values become blocks, by hand, and that page contents move unchanged.
#include "engine/backend/cpu/half.h"
#include "tests/ops/backend_fixture.h"

namespace headroom::test::q8_cache_test {
namespace {

struct Row {
  std::vector<int> values;
  std::vector<uint16_t> scales;
  bool operator==(const Row&) const = default;
};

/// K or V from the result of read_rows.
Row row_of(const std::vector<uint16_t>& units, size_t first, size_t head_dim) {
  Row row;
  for (size_t i = 0; i < head_dim; ++i)
    row.values.push_back(static_cast<int8_t>(units[first + i / 2] >> (i % 2 == 0 ? 0 : 8) & 0xff));
  for (size_t i = 0; i < head_dim / 32; ++i) row.scales.push_back(units[first + head_dim / 2 + i]);
  return row;
}

float value_of(const Row& row, size_t i) {
  return half_to_float(row.scales[i / 32]) * static_cast<float>(row.values[i]);
}

/// K and V of a new token after the cache stored them.
std::pair<Row, Row> append(Backend& backend, const std::vector<float>& k, const std::vector<float>& v) {
  const auto head_dim = static_cast<int32_t>(k.size());
  TestCache cache(backend, {head_dim, CacheType::q8_0});
  cache.add_head({}, {});
  const std::vector<HeadView> views = cache.views();
  const std::vector<KeepRule> rules(1);
  const DeviceMatrix out(backend, zeros(1, head_dim)), q(backend, zeros(1, head_dim));
  const DeviceMatrix new_k(backend, {1, head_dim, k}), new_v(backend, {1, head_dim, v});
  run_step(backend, {.position = 0, .n_kv_heads = 1, .heads = views, .rules = rules},
           [&] { backend.attend_decode(0, q, new_k, new_v, 1, out); });
  cache.set_length(0, 1);
  const std::vector<uint16_t> units = cache.rows(0);
  return {row_of(units, 0, k.size()), row_of(units, units.size() / 2, k.size())};
}

/// Stores the values through a prefill's scratch, which is f16.
std::pair<Row, Row> assemble(Backend& backend, const std::vector<float>& k, const std::vector<float>& v) {
  const auto head_dim = static_cast<int32_t>(k.size());
  TestCache cache(backend, {head_dim, CacheType::q8_0});
  const auto buffer = backend.allocate(4 * k.size());
  const KvScratch kv{buffer.get(), 1, head_dim};
  backend.store_kv(DeviceMatrix(backend, {1, head_dim, k}), DeviceMatrix(backend, {1, head_dim, v}), kv, 0);
  const std::vector<PageId> pages{cache.take_page()};
  const std::vector<SlotSource> slots{{.kind = SlotSource::Kind::scratch}};
  backend.gather_slots({.kv_head = 0, .from = {}, .kv = kv, .log_rows = {}, .slots = slots, .pages = pages});
  std::vector<uint16_t> units(PageLayout{head_dim, CacheType::q8_0}.slot_row_u16s());
  backend.read_rows({pages, 1}, std::vector<int32_t>{0}, units);
  return {row_of(units, 0, k.size()), row_of(units, units.size() / 2, k.size())};
}

std::vector<float> row(std::vector<float> values, size_t head_dim) {
  values.resize(head_dim);
  return values;
}

std::vector<int> ints(std::vector<int> values, size_t head_dim) {
  values.resize(head_dim);
  return values;
}

/// Every backend, and the fast one with every instruction set.
template <typename Check>
void for_all_backends(Check check) {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    check(*backend);
  }
  for (const CpuLevel level : cpu_levels()) {
    const CpuLevelVariable variable(level);
    INFO(cpu_level_name(level));
    check(*cpu(1));
  }
}

}  // namespace

TEST_CASE("a block by hand: the largest magnitude is 127 steps, the others go to the nearest, ties to even") {
  // 63.5 / 127 = 0.5. The second block is zero, and so is its scale.
  const std::vector<float> k = row({-63.5f, 0.25f, 0.75f, 0.3f, -0.3f, 63.25f, -0.75f, 1, -20}, 64);
  const std::vector<float> v = row({127}, 64);
  const Row expected_k{ints({-127, 0, 2, 1, -1, 126, -2, 2, -40}, 64), {0x3800, 0}};
  const Row expected_v{ints({127}, 64), {0x3c00, 0}};
  for_all_backends([&](Backend& backend) {
    CHECK(append(backend, k, v) == std::pair(expected_k, expected_v));
    // 0.3 is not an f16 number, and still nearer to one step than to none.
    CHECK(assemble(backend, k, v) == std::pair(expected_k, expected_v));
  });
}

TEST_CASE("each block has its own scale") {
  std::vector<float> k(96);
  k[31] = 1.27f, k[32] = -254, k[64] = 0.0127f, k[95] = -0.00635f;
  for_all_backends([&](Backend& backend) {
    const Row found = append(backend, k, k).first;
    CHECK(found.values[31] == 127);
    CHECK(found.values[32] == -127);
    CHECK(found.values[64] == 127);
    CHECK(found.scales[1] == 0x4000);
    for (const size_t i : {31, 32, 64, 95}) CHECK(value_of(found, i) == Approx(k[i]).epsilon(0.01));
    for (const size_t i : {0, 30, 33, 63, 65, 94}) CHECK(found.values[i] == 0);
  });
}

TEST_CASE("the largest and the smallest numbers stay finite") {
  // 65504 / 127 = 515.78, in f16 516. Values beyond the range of a scale become the largest value.
  const std::vector<float> large = row({65504, -65504, 300}, 32), huge = row({3e38f, -3e38f, 1}, 32);
  // 2^-24 is f16's smallest number. 64 of it: a scale of 0.504 of it, which rounds up; 1 of it: no scale, so zero.
  const float tiny = 0x1p-24f;
  const std::vector<float> steps = row({127 * tiny, -3 * tiny}, 32), few = row({64 * tiny, -tiny}, 32),
                           one = row({tiny}, 32);
  for_all_backends([&](Backend& backend) {
    CHECK(append(backend, large, huge) ==
          std::pair(Row{ints({127, -127, 1}, 32), {0x6008}}, Row{ints({127, -127, 0}, 32), {0x7bff}}));
    CHECK(assemble(backend, large, large).second == Row{ints({127, -127, 1}, 32), {0x6008}});
    CHECK(append(backend, steps, few) == std::pair(Row{ints({127, -3}, 32), {1}}, Row{ints({64, -1}, 32), {1}}));
    CHECK(assemble(backend, steps, few) == std::pair(Row{ints({127, -3}, 32), {1}}, Row{ints({64, -1}, 32), {1}}));
    CHECK(append(backend, one, row({}, 32)) == std::pair(Row{ints({}, 32), {0}}, Row{ints({}, 32), {0}}));
  });
}

TEST_CASE("no value is further off than half a step, and all instruction sets agree bit for bit") {
  Random random(21);
  for (const float magnitude : {1e-4f, 1.0f, 300.0f}) {
    const std::vector<float> k = random_values(random, 1, 128, magnitude).data,
                             v = random_values(random, 1, 128, magnitude).data;
    Backend& slow = shared_backend("cpu-reference");
    const auto expected = append(slow, k, v), through_scratch = assemble(slow, k, v);
    for (size_t i = 0; i < k.size(); ++i) {
      const float step = half_to_float(expected.first.scales[i / 32]);
      // The scale is itself rounded to 11 bits, which at 127 steps is 0.06 of one.
      CHECK(std::abs(value_of(expected.first, i) - k[i]) <= 0.57f * step);
    }
    for_all_backends([&](Backend& backend) {
      CHECK(append(backend, k, v) == expected);
      CHECK(assemble(backend, k, v) == through_scratch);
    });
  }
}

TEST_CASE("decode by hand on a page of 8 bits: one held slot and the token itself") {
  for_all_backends([](Backend& backend) {
    const PageLayout layout{32, CacheType::q8_0};
    TestCache cache(backend, layout);
    // K = 0. V = (2, -1, 0, ...), as 4 and -2 steps of 0.5.
    std::vector<uint16_t> held(layout.slot_row_u16s());
    held[17] = 0xfe04, held[17 + 16] = 0x3800;
    cache.add_head({{.position = 4}}, held);
    const std::vector<HeadView> views = cache.views();
    const std::vector<KeepRule> rules(1);
    // The token's K is (1, 0, ...), its V is (0, 1, 0, ...). q = ln 3: weights 1/4 and 3/4.
    const DeviceMatrix q(backend, {1, 32, row({std::log(3.0f), 9}, 32)}), k(backend, {1, 32, row({1}, 32)});
    const DeviceMatrix v(backend, {1, 32, row({0, 1}, 32)}), out(backend, zeros(1, 32));
    run_step(backend, {.position = 9, .n_kv_heads = 1, .heads = views, .rules = rules},
             [&] { backend.attend_decode(0, q, k, v, 1, out); });
    const Values found = out.read();
    CHECK(found.at(0, 0) == Approx(0.5).epsilon(1e-3));
    CHECK(found.at(0, 1) == Approx(0.5).epsilon(1e-3));
    CHECK(found.at(0, 2) == 0);
    cache.set_length(0, 2);
    CHECK(cache.scores(0)[0] == Approx(0.25).epsilon(1e-3));
  });
}

TEST_CASE("gather_slots and copy_page keep rows of 8 bits as they are") {
  for (const int32_t head_dim : {32, 64, 96, 256}) {
    const PageLayout layout{head_dim, CacheType::q8_0};
    const size_t n_units = layout.slot_row_u16s();
    for (const auto& [name, backend] : all_backends()) {
      INFO(name);
      Random random(12);
      TestCache cache(*backend, layout);
      const std::vector<uint16_t> held = random_rows(random, layout, 40), log = random_rows(random, layout, 5);
      cache.add_head(random_slots(random, 40, 100), held);
      CHECK(cache.rows(0) == held);

      std::vector<SlotSource> sources;
      std::vector<uint16_t> expected;
      for (int32_t i = 0; i < 35; ++i) {
        const bool from_log = i % 5 == 1;
        const int32_t index = from_log ? i % 4 : i * 7 % 40;
        sources.push_back({.kind = from_log ? SlotSource::Kind::log : SlotSource::Kind::held, .index = index});
        const auto from = (from_log ? log : held).begin() + index * static_cast<int64_t>(n_units);
        expected.insert(expected.end(), from, from + static_cast<int64_t>(n_units));
      }
      const std::vector<PageId> pages{cache.take_page(), cache.take_page(), cache.take_page()};
      backend->gather_slots(
          {.kv_head = 0, .from = cache.views()[0], .kv = {}, .log_rows = log, .slots = sources, .pages = pages});
      std::vector<int32_t> all(35);
      std::iota(all.begin(), all.end(), 0);
      std::vector<uint16_t> found(35 * n_units);
      backend->read_rows({pages, 35}, all, found);
      CHECK(found == expected);

      const std::vector<PageId> copies{cache.take_page(), cache.take_page(), cache.take_page()};
      for (size_t i = 0; i < pages.size(); ++i) backend->copy_page(pages[i], copies[i]);
      std::fill(found.begin(), found.end(), uint16_t{0});
      backend->read_rows({copies, 35}, all, found);
      CHECK(found == expected);
    }
  }
}

TEST_CASE("a backend without slabs takes another layout") {
  for (const auto& [name, backend] : all_backends())
    for (const PageLayout layout : {PageLayout{64}, PageLayout{64, CacheType::q8_0}, PageLayout{64}}) {
      INFO(name);
      Random random(3);
      TestCache cache(*backend, layout);
      const std::vector<uint16_t> rows = random_rows(random, layout, 20);
      cache.add_head(random_slots(random, 20, 30), rows);
      CHECK(cache.rows(0) == rows);
    }
}

}  // namespace headroom::test::q8_cache_test
