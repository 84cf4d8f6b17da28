// attend_decode: a new token's attention over heads of any length, and the increase of the slots' scores.
#include "engine/backend/cpu/half.h"
#include "tests/ops/backend_fixture.h"

namespace headroom::test::attend_decode_test {
namespace {

struct Case {
  int32_t head_dim = 16;
  int32_t group = 1;
  std::vector<int32_t> lengths;  // per KV head, before the token
  float q_scale = 1;
  CacheType type = CacheType::f16;
};

struct Result {
  Values out;
  std::vector<Values> scores;               // by head
  std::vector<std::vector<uint16_t>> rows;  // by head: K and V of every slot
};

Result attend(Backend& backend, const Case& c) {
  Random random(3);
  const auto n_kv_heads = static_cast<int32_t>(c.lengths.size());
  const PageLayout layout{c.head_dim, c.type};
  TestCache cache(backend, layout);
  for (const int32_t length : c.lengths) {
    const std::vector<Slot> slots = random_slots(random, length, 5000);
    cache.add_head(slots, random_rows(random, layout, length));
  }
  const std::vector<HeadView> views = cache.views();
  const std::vector<KeepRule> rules(views.size());

  const Values q = random_values(random, 1, n_kv_heads * c.group * c.head_dim, c.q_scale);
  const Values k = random_values(random, 1, n_kv_heads * c.head_dim),
               v = random_values(random, 1, n_kv_heads * c.head_dim);
  const DeviceMatrix out(backend, zeros(1, q.n_cols));
  const DeviceMatrix device_q(backend, q), device_k(backend, k), device_v(backend, v);
  const DecodeStep step{.position = 5000,
                        .token_class = TokenClass::punctuation,
                        .n_kv_heads = n_kv_heads,
                        .heads = views,
                        .rules = rules};
  const float scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  const StepReport report =
      run_step(backend, step, [&] { backend.attend_decode(0, device_q, device_k, device_v, scale, out); });
  CHECK(report.evictions.empty());

  Result result{out.read(), {}, {}};
  for (size_t h = 0; h < views.size(); ++h) {
    cache.set_length(h, c.lengths[h] + 1);
    const std::vector<float> scores = cache.scores(h);
    result.scores.push_back({1, static_cast<int32_t>(scores.size()), scores});
    result.rows.push_back(cache.rows(h));
  }
  return result;
}

void check_against_reference(const Case& c, double tolerance = 3e-6) {
  const Result expected = attend(shared_backend("cpu-reference"), c);
  for (const auto& [name, backend] : tested_backends()) {
    const Result found = attend(*backend, c);
    CAPTURE(name, c.head_dim, c.group, c.lengths, cache_type_name(c.type));
    CHECK(nmse(found.out, expected.out) <= max_coarse_nmse);
    CHECK(relative_error(found.out, expected.out) < tolerance_of(name, tolerance));
    for (size_t h = 0; h < c.lengths.size(); ++h) {
      CHECK(nmse(found.scores[h], expected.scores[h]) <= max_coarse_nmse);
      CHECK(relative_error(found.scores[h], expected.scores[h]) < tolerance_of(name, tolerance));
      CHECK(found.rows[h] == expected.rows[h]);
    }
  }
}

/// The CPU backend with the current instruction set, on any number of threads.
void check_level_against_reference(const Case& c) {
  const Result expected = attend(shared_backend("cpu-reference"), c), found = attend(*cpu(1), c),
               threaded = attend(*cpu(2), c);
  CAPTURE(c.head_dim, c.group, c.lengths, cache_type_name(c.type));
  CHECK(relative_error(found.out, expected.out) < 3e-6);
  CHECK(threaded.out.data == found.out.data);
  for (size_t h = 0; h < c.lengths.size(); ++h) {
    CHECK(relative_error(found.scores[h], expected.scores[h]) < 3e-6);
    CHECK(threaded.scores[h].data == found.scores[h].data);
    CHECK(found.rows[h] == expected.rows[h]);
  }
}

}  // namespace

TEST_CASE("decode by hand: one held slot and the token itself") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    TestCache cache(*backend, 2);
    // K = (0, 0), V = (1, 0); score 0.25 so far.
    cache.add_head({{.position = 4, .score = 0.25f}}, {0, 0, 0x3c00, 0});
    const std::vector<HeadView> views = cache.views();
    const std::vector<KeepRule> rules(1);
    // Two query heads. The token's K is (1, 0), V is (0, 1). q = ln 3: weights 1/4 and 3/4; q = 0: a half each.
    const DeviceMatrix q(*backend, {1, 4, {std::log(3.0f), 9, 0, 9}}), k(*backend, {1, 2, {1, 0}});
    const DeviceMatrix v(*backend, {1, 2, {0, 1}}), out(*backend, zeros(1, 4));
    run_step(*backend, {.position = 9, .n_kv_heads = 1, .heads = views, .rules = rules},
             [&] { backend->attend_decode(0, q, k, v, 1, out); });
    const Values found = out.read();
    CHECK(found.at(0, 0) == Approx(0.25));
    CHECK(found.at(0, 1) == Approx(0.75));
    CHECK(found.at(0, 2) == Approx(0.5));
    CHECK(found.at(0, 3) == Approx(0.5));
    cache.set_length(0, 2);
    CHECK(cache.scores(0)[0] == Approx(0.25 + 0.25 + 0.5));
    CHECK(cache.scores(0)[1] == Approx(0.75 + 0.5));  // a new slot starts with its own probabilities
    const std::vector<uint16_t> rows{0, 0, 0x3c00, 0, 0x3c00, 0, 0, 0x3c00};
    CHECK(cache.rows(0) == rows);
  }
}

TEST_CASE("decode agrees with the reference for every length around a page and a chunk") {
  for (const int32_t length : {0, 1, 2, 3, 14, 15, 16, 17, 31, 254, 255, 256, 257, 511, 512})
    for (const int32_t head_dim : {16, 64, 80, 256})
      check_against_reference({.head_dim = head_dim, .group = 3, .lengths = {length}});
}

TEST_CASE("decode serves any query group and head size") {
  for (const int32_t group : {1, 2, 3, 4, 5, 7, 8})
    check_against_reference({.head_dim = 64, .group = group, .lengths = {100, 3}});
  for (const int32_t head_dim : {80, 128, 256})
    for (const int32_t group : {1, 3, 7, 8})
      check_against_reference({.head_dim = head_dim, .group = group, .lengths = {70}});
  for (const int32_t head_dim : {2, 6, 30, 96, 128, 512})
    check_against_reference({.head_dim = head_dim, .group = 2, .lengths = {45}});
}

TEST_CASE("decode serves heads of very different length in one layer") {
  check_against_reference({.head_dim = 64, .group = 3, .lengths = {0, 4000, 1, 15, 16, 17, 257, 3}});
  check_against_reference({.head_dim = 16, .group = 7, .lengths = {3000, 0}});
}

TEST_CASE("decode agrees with the reference with every instruction set") {
  for (const CpuLevel level : cpu_levels()) {
    const CpuLevelVariable variable(level);
    INFO(cpu_level_name(level));
    for (const int32_t head_dim : {6, 16, 80, 128})
      for (const int32_t group : {1, 3, 7})
        check_level_against_reference({.head_dim = head_dim, .group = group, .lengths = {0, 18, 300}});
  }
}

TEST_CASE("decode reads pages of 8 bits as the reference does") {
  for (const int32_t length : {0, 1, 2, 3, 14, 15, 16, 17, 31, 254, 255, 256, 257, 511, 512})
    check_against_reference({.head_dim = 64, .group = 3, .lengths = {length}, .type = CacheType::q8_0});
  for (const auto& [head_dim, group] :
       {std::pair{32, 1}, {64, 1}, {64, 7}, {64, 8}, {96, 4}, {128, 3}, {128, 8}, {256, 2}, {256, 7}})
    check_against_reference({.head_dim = head_dim, .group = group, .lengths = {0, 45, 300}, .type = CacheType::q8_0});
  check_against_reference(
      {.head_dim = 64, .group = 3, .lengths = {0, 4000, 1, 15, 16, 17, 257, 3}, .type = CacheType::q8_0});
}

TEST_CASE("decode reads pages of 8 bits with every instruction set") {
  for (const CpuLevel level : cpu_levels()) {
    const CpuLevelVariable variable(level);
    INFO(cpu_level_name(level));
    for (const int32_t head_dim : {32, 96, 256})
      for (const int32_t group : {1, 3, 7, 8})
        check_level_against_reference(
            {.head_dim = head_dim, .group = group, .lengths = {0, 18, 300}, .type = CacheType::q8_0});
  }
}

TEST_CASE("decode survives scores of large magnitude") {
  check_against_reference({.head_dim = 64, .group = 3, .lengths = {300, 20}, .q_scale = 100}, 1e-3);
}

TEST_CASE("the probabilities of a step sum to the size of the query group") {
  for (const auto& [name, backend] : tested_backends()) {
    INFO(name);
    Random random(5);
    TestCache cache(*backend, 64);
    std::vector<Slot> slots = random_slots(random, 1000, 1000);
    for (Slot& slot : slots) slot.score = 0;
    cache.add_head(slots, random_halves(random, 2 * 1000 * 64));
    const std::vector<HeadView> views = cache.views();
    const std::vector<KeepRule> rules(1);
    const DeviceMatrix q(*backend, random_values(random, 1, 3 * 64)), kv(*backend, random_values(random, 1, 64));
    const DeviceMatrix out(*backend, zeros(1, 3 * 64));
    run_step(*backend, {.position = 1000, .n_kv_heads = 1, .heads = views, .rules = rules},
             [&] { backend->attend_decode(0, q, kv, kv, 0.125f, out); });
    cache.set_length(0, 1001);
    double sum = 0;
    for (const float score : cache.scores(0)) sum += double{score};
    CHECK(sum == Approx(3).epsilon(tolerance_of(name, 1e-6)));
  }
}

TEST_CASE("a step that is given up with its cache leaves nothing behind") {
  // The first half does what a session does if an operation fails: removes the slabs and prefills the prompt again.
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    Random random(6);
    const Values x = random_values(random, 3, 64);
    const auto rotated = [&] {
      const FloatWeight table(*backend, x);
      const auto frequencies = backend->allocate(32 * sizeof(float));
      const std::vector<float> values(32, 0.25f);
      backend->upload(*frequencies, 0, std::as_bytes(std::span(values)));
      const DeviceMatrix rows(*backend, zeros(2, 64));
      backend->embed(table, std::vector<TokenId>{2, 1}, 1, rows);
      backend->rope(rows, 64, 5, RopeStyle::neox, 64, *frequencies);
      return rows.read().data;
    };
    const std::vector<float> expected = rotated();
    {
      TestCache cache(*backend, 64);
      cache.add_head(random_slots(random, 20, 30), random_halves(random, 20 * 2 * 64));
      const std::vector<HeadView> views = cache.views();
      const std::vector<KeepRule> rules(1);
      const DeviceMatrix q(*backend, zeros(1, 64)), out(*backend, zeros(1, 64));
      const auto program = backend->make_step([&] { backend->attend_decode(0, q, q, q, 1, out); }, {});
      backend->prepare_step(*program, {.position = 1000, .n_kv_heads = 1, .heads = views, .rules = rules});
    }
    CHECK(rotated() == expected);
  }
}

TEST_CASE("decode goes on from step to step, layer by layer, as the reference does") {
  constexpr int32_t head_dim = 64, group = 3, n_kv_heads = 2, n_layers = 2, n_steps = 20;
  struct Outcome {
    Values out;
    std::vector<std::vector<float>> scores;
    std::vector<std::vector<uint16_t>> rows;
  };
  const auto run = [](Backend& backend) {
    Random random(8);
    TestCache cache(backend, head_dim);
    std::vector<std::vector<PageId>> pages;
    std::vector<int32_t> lengths{0, 14, 100, 31};  // of layer 0, then layer 1
    for (const int32_t length : lengths) {
      cache.add_head(random_slots(random, length, 1000), random_halves(random, static_cast<size_t>(length) * 2 * 64));
      const std::span<const PageId> first = cache.views().back().pages;
      pages.emplace_back(first.begin(), first.end());
      while (pages.back().size() * page_tokens < static_cast<size_t>(length + n_steps + 1))
        pages.back().push_back(cache.take_page());
    }
    Outcome outcome{zeros(n_steps * n_layers, n_kv_heads * group * head_dim), {}, {}};
    const DeviceMatrix out(backend, outcome.out);
    const auto views = [&] {
      std::vector<HeadView> heads;
      for (size_t h = 0; h < lengths.size(); ++h) heads.push_back({pages[h], lengths[h]});
      return heads;
    };
    const std::vector<KeepRule> rules(lengths.size());
    for (int32_t step = 0; step < n_steps; ++step) {
      const std::vector<HeadView> heads = views();
      std::vector<DeviceMatrix> q, k, v;  // by layer
      for (int32_t layer = 0; layer < n_layers; ++layer) {
        q.emplace_back(backend, random_values(random, 1, n_kv_heads * group * head_dim));
        k.emplace_back(backend, random_values(random, 1, n_kv_heads * head_dim));
        v.emplace_back(backend, random_values(random, 1, n_kv_heads * head_dim));
      }
      const StepReport report =
          run_step(backend, {.position = 1000 + step, .n_kv_heads = n_kv_heads, .heads = heads, .rules = rules}, [&] {
            for (int32_t layer = 0; layer < n_layers; ++layer) {
              const auto l = static_cast<size_t>(layer);
              backend.attend_decode(layer, q[l], k[l], v[l], 0.125f, out.matrix().rows(step * n_layers + layer, 1));
              backend.evict(layer);
            }
          });
      CHECK(report.evictions.empty());
      for (int32_t& length : lengths) ++length;
    }
    outcome.out = out.read();
    for (const HeadView& head : views()) {
      std::vector<int32_t> slots(static_cast<size_t>(head.length));
      std::iota(slots.begin(), slots.end(), 0);
      backend.read_scores(head, outcome.scores.emplace_back(slots.size()));
      backend.read_rows(head, slots, outcome.rows.emplace_back(slots.size() * 2 * head_dim));
    }
    return outcome;
  };
  const Outcome expected = run(shared_backend("cpu-reference"));
  for (const auto& [name, backend] : tested_backends()) {
    INFO(name);
    const Outcome found = run(*backend);
    CHECK(relative_error(found.out, expected.out) < tolerance_of(name, 3e-6));
    CHECK(found.rows == expected.rows);
    for (size_t h = 0; h < expected.scores.size(); ++h) {
      const auto n = static_cast<int32_t>(expected.scores[h].size());
      CHECK(relative_error({1, n, found.scores[h]}, {1, n, expected.scores[h]}) < tolerance_of(name, 3e-6));
    }
  }
}

}  // namespace headroom::test::attend_decode_test
