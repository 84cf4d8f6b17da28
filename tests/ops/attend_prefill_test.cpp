// attend_prefill: causal attention of a block of rows, its column sums, held slots and windows.
#include <tuple>

#include "tests/ops/backend_fixture.h"

namespace headroom::test::attend_prefill_test {
namespace {

struct Case {
  int32_t n_rows = 3;  // in the turn
  int32_t head_dim = 16;
  int32_t n_kv_heads = 2;
  int32_t group = 1;
  int32_t window = 0;
  std::vector<int32_t> win_tokens = {1};
  int32_t recent_from = 0;
  int32_t block_rows = 1 << 20;    // rows per call
  std::vector<int32_t> held = {};  // length per KV head; empty: a first turn
  int32_t position0 = 0;
  float q_scale = 1;
  CacheType type = CacheType::f16;
};

struct Result {
  Values out, col, win, recent;
};

/// The whole turn, in blocks, on one backend. All inputs follow from the seed.
Result attend(Backend& backend, const Case& c, bool statistics = true) {
  Random random(7);
  const int32_t q_cols = c.n_kv_heads * c.group * c.head_dim;
  const KvScratch shape{nullptr, c.n_rows + 3, c.n_kv_heads * c.head_dim};
  const auto scratch = backend.allocate(static_cast<size_t>(4 * shape.capacity_rows * shape.row_values));
  const KvScratch kv{scratch.get(), shape.capacity_rows, shape.row_values};
  const Values q = random_values(random, c.n_rows, q_cols, c.q_scale);
  const Values k = random_values(random, c.n_rows, kv.row_values), v = random_values(random, c.n_rows, kv.row_values);
  backend.store_kv(DeviceMatrix(backend, k), DeviceMatrix(backend, v), kv, 0);

  const PageLayout layout{c.head_dim, c.type};
  TestCache cache(backend, layout);
  int32_t n_held_columns = 0;
  for (const int32_t length : c.held) {
    const std::vector<Slot> slots = random_slots(random, length, c.position0);
    cache.add_head(slots, random_rows(random, layout, length));
    n_held_columns = std::max(n_held_columns, length + 2);  // padding must stay unchanged
  }
  const std::vector<HeadView> held = cache.views();

  const int32_t n_columns = n_held_columns + c.n_rows;
  const auto n_win = static_cast<int32_t>(c.win_tokens.size());
  Values initial = zeros(c.n_kv_heads * c.group, n_columns), windows = zeros(n_win * initial.n_rows, n_columns);
  for (float& value : initial.data) value = 0.5f;  // sums are added to existing values
  for (float& value : windows.data) value = 0.5f;
  const DeviceMatrix q_matrix(backend, q), out(backend, zeros(c.n_rows, q_cols)), col(backend, initial),
      win(backend, windows), recent(backend, initial);
  std::array<int32_t, max_win_sums> win_tokens{};
  std::copy(c.win_tokens.begin(), c.win_tokens.end(), win_tokens.begin());
  for (int32_t first = 0; first < c.n_rows; first += c.block_rows) {
    const int32_t count = std::min(c.block_rows, c.n_rows - first);
    backend.attend_prefill({.q = q_matrix.matrix().rows(first, count),
                            .kv = kv,
                            .held = held,
                            .n_held_columns = n_held_columns,
                            .first_row = first,
                            .position0 = c.position0,
                            .window = c.window,
                            .head_dim = c.head_dim,
                            .scale = 1 / std::sqrt(static_cast<float>(c.head_dim)),
                            .out = out.matrix().rows(first, count),
                            .attention_mass = statistics ? col.matrix() : Matrix{},
                            .windowed_mass = statistics ? win.matrix() : Matrix{},
                            .recent_mass = statistics ? recent.matrix() : Matrix{},
                            .n_win = n_win,
                            .win_tokens = win_tokens,
                            .recent_from = c.recent_from});
  }
  return {out.read(), col.read(), win.read(), recent.read()};
}

void check_results(const std::string& name, const Result& found, const Result& expected) {
  for (const auto& [what, a, b] : {std::tuple("out", &found.out, &expected.out),
                                   {"col", &found.col, &expected.col},
                                   {"win", &found.win, &expected.win},
                                   {"recent", &found.recent, &expected.recent}}) {
    INFO(what);
    CHECK(nmse(*a, *b) <= max_coarse_nmse);
    CHECK(relative_error(*a, *b) < tolerance_of(name, 4e-6));
  }
}

void check_against_reference(const Case& c) {
  const Result expected = attend(shared_backend("cpu-reference"), c);
  CAPTURE(c.n_rows, c.head_dim, c.n_kv_heads, c.group, c.window, c.win_tokens, c.block_rows, c.held, c.position0);
  for (const auto& [name, backend] : tested_backends()) {
    INFO(name);
    check_results(name, attend(*backend, c), expected);
    // The statistics must not change the output.
    const Result plain = attend(*backend, c, false);
    CHECK(relative_error(plain.out, expected.out) < tolerance_of(name, 4e-6));
    CHECK(plain.col.data == std::vector<float>(plain.col.data.size(), 0.5f));
  }
}

/// The CPU backend with the current instruction set, on any number of threads.
void check_level_against_reference(const Case& c) {
  const Result expected = attend(shared_backend("cpu-reference"), c);
  const auto one = cpu(1), two = cpu(2);
  const Result found = attend(*one, c);
  CAPTURE(c.n_rows, c.head_dim, c.n_kv_heads, c.group, c.window, c.win_tokens, c.block_rows, c.held, c.position0);
  check_results("cpu", found, expected);
  // The threads' timing must not change the result, and the statistics must not change the output.
  const Result threaded = attend(*two, c);
  CHECK(threaded.out.data == found.out.data);
  CHECK(threaded.col.data == found.col.data);
  CHECK(threaded.win.data == found.win.data);
  const Result plain = attend(*two, c, false);
  CHECK(plain.out.data == found.out.data);
  CHECK(plain.col.data == std::vector<float>(plain.col.data.size(), 0.5f));
}

/// One query head, head_dim 2. q . k is j * ln 2 for every row, so that row i has weights 2^j / (2^(i + 1) - 1).
Result attend_powers_of_two(Backend& backend, int32_t window, int32_t win_tokens) {
  const auto scratch = backend.allocate(2 * 3 * 2 * 2);
  const KvScratch kv{scratch.get(), 3, 2};
  const DeviceMatrix k(backend, {3, 2, {0, 0, 1, 0, 2, 0}}), v(backend, {3, 2, {1, 0, 0, 1, 3, 3}});
  backend.store_kv(k, v, kv, 0);
  const float ln2 = 0.69314718f;
  const DeviceMatrix q(backend, {3, 2, {ln2, 5, ln2, 6, ln2, 7}}), out(backend, zeros(3, 2));
  const DeviceMatrix col(backend, zeros(1, 3)), win(backend, zeros(1, 3));
  backend.attend_prefill({.q = q,
                          .kv = kv,
                          .held = {},
                          .window = window,
                          .head_dim = 2,
                          .scale = 1,
                          .out = out,
                          .attention_mass = col,
                          .windowed_mass = win,
                          .win_tokens = {win_tokens}});
  return {out.read(), col.read(), win.read(), {}};
}

void check_values(const Values& found, const std::vector<double>& expected) {
  REQUIRE(found.data.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) CHECK(found.data[i] == Approx(expected[i]).epsilon(1e-5).margin(1e-6));
}

}  // namespace

TEST_CASE("three rows by hand: A = [1], [1/3 2/3], [1/7 2/7 4/7]") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    const Result found = attend_powers_of_two(*backend, 0, 2);
    check_values(found.out, {1, 0, 1. / 3, 2. / 3, 13. / 7, 14. / 7});
    check_values(found.col, {1 + 1. / 3 + 1. / 7, 2. / 3 + 2. / 7, 4. / 7});
    check_values(found.win, {1 + 1. / 3, 2. / 3 + 2. / 7, 4. / 7});
  }
}

TEST_CASE("three rows by hand in a window of two: A = [1], [1/3 2/3], [0 1/3 2/3]") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    const Result found = attend_powers_of_two(*backend, 2, 1);
    check_values(found.out, {1, 0, 1. / 3, 2. / 3, 2, 7. / 3});
    check_values(found.col, {1 + 1. / 3, 2. / 3 + 1. / 3, 2. / 3});
    check_values(found.win, {1, 2. / 3, 2. / 3});
  }
}

TEST_CASE("prefill attention agrees with the reference for awkward sizes") {
  for (const int32_t n_rows : {1, 3, 63, 64, 65, 200})
    for (const int32_t head_dim : {16, 64, 80, 256})
      for (const int32_t group : {1, 3})
        check_against_reference(
            {.n_rows = n_rows, .head_dim = head_dim, .group = group, .win_tokens = {(3 * n_rows + 9) / 10}});
}

TEST_CASE("prefill attention serves any query group and head size") {
  for (const int32_t group : {4, 7}) check_against_reference({.n_rows = 70, .group = group, .win_tokens = {21}});
  for (const int32_t head_dim : {64, 80, 128, 256})
    for (const int32_t group : {7, 8})
      check_against_reference(
          {.n_rows = 33, .head_dim = head_dim, .n_kv_heads = 1, .group = group, .held = {19}, .position0 = 20});
  for (const int32_t head_dim : {2, 6, 30, 96, 128, 512})
    check_against_reference({.n_rows = 70, .head_dim = head_dim, .n_kv_heads = 1, .win_tokens = {21}});
}

TEST_CASE("prefill attention does not depend on how rows are cut into blocks, up to rounding") {
  for (const int32_t block_rows : {1, 30, 64, 100})
    check_against_reference({.n_rows = 200, .group = 3, .win_tokens = {60}, .block_rows = block_rows});
}

TEST_CASE("prefill attention keeps to a sliding window") {
  for (const int32_t window : {1, 2, 15, 64, 100, 199, 200, 1000})
    check_against_reference({.n_rows = 200, .window = window, .win_tokens = {1 + window / 3}, .block_rows = 90});
}

TEST_CASE("prefill attention sees the held slots of earlier turns first, in slot order") {
  for (const int32_t window : {0, 40, 300})
    for (const int32_t win_tokens : {1, 90, 400})
      check_against_reference({.n_rows = 130,
                               .head_dim = 64,
                               .n_kv_heads = 4,
                               .group = 3,
                               .window = window,
                               .win_tokens = {win_tokens},
                               .block_rows = 100,
                               .held = {0, 1, 17, 257},
                               .position0 = 300});
}

TEST_CASE("prefill attention sums up to three windows and the latest rows at once") {
  for (const std::vector<int32_t>& win_tokens : {std::vector<int32_t>{5, 30}, std::vector<int32_t>{1, 64, 500}})
    for (const int32_t recent_from : {0, 1, 77, 129, 400})
      check_against_reference({.n_rows = 130,
                               .head_dim = 64,
                               .group = 3,
                               .win_tokens = win_tokens,
                               .recent_from = recent_from,
                               .block_rows = 70,
                               .held = {40, 3},
                               .position0 = 50});
}

TEST_CASE("prefill attention sees held slots of 8 bits") {
  for (const int32_t head_dim : {64, 128, 256})
    for (const int32_t group : {1, 3, 8})
      check_against_reference({.n_rows = 67,
                               .head_dim = head_dim,
                               .n_kv_heads = 3,
                               .group = group,
                               .window = group == 3 ? 40 : 0,
                               .win_tokens = {21},
                               .block_rows = 50,
                               .held = {0, 1, 90},
                               .position0 = 100,
                               .type = CacheType::q8_0});
}

TEST_CASE("prefill attention sees held slots of 8 bits as the reference does with every instruction set") {
  for (const CpuLevel level : cpu_levels()) {
    const CpuLevelVariable variable(level);
    INFO(cpu_level_name(level));
    for (const int32_t head_dim : {32, 64, 96, 128, 256})
      for (const int32_t group : {1, 3, 7, 8})
        check_level_against_reference({.n_rows = 67,
                                       .head_dim = head_dim,
                                       .n_kv_heads = 3,
                                       .group = group,
                                       .window = group == 3 ? 40 : 0,
                                       .win_tokens = {21},
                                       .block_rows = 50,
                                       .held = {0, 1, 90},
                                       .position0 = 100,
                                       .type = CacheType::q8_0});
  }
}

TEST_CASE("prefill attention agrees with the reference with every instruction set") {
  for (const CpuLevel level : cpu_levels()) {
    const CpuLevelVariable variable(level);
    INFO(cpu_level_name(level));
    for (const int32_t n_rows : {1, 7, 20, 40, 65})
      for (const int32_t head_dim : {6, 16, 80})
        check_level_against_reference(
            {.n_rows = n_rows, .head_dim = head_dim, .group = 3, .win_tokens = {9}, .held = {0, 37}, .position0 = 50});
  }
}

TEST_CASE("prefill attention survives scores of large magnitude") {
  // Scores are some hundreds: f32 sums of products have errors of about 1e-4, which are visible in the softmax.
  const Case c{.n_rows = 200, .head_dim = 64, .group = 3, .win_tokens = {60}, .q_scale = 100};
  const Result expected = attend(shared_backend("cpu-reference"), c);
  for (const auto& [name, backend] : tested_backends()) {
    INFO(name);
    const Result found = attend(*backend, c);
    CHECK(relative_error(found.out, expected.out) < tolerance_of(name, 1e-3));
    CHECK(relative_error(found.col, expected.col) < tolerance_of(name, 1e-3));
  }
}

TEST_CASE("the columns of each query head sum to the number of rows") {
  const Case c{.n_rows = 700, .head_dim = 64, .group = 2, .win_tokens = {700}, .block_rows = 512};
  for (const auto& [name, backend] : tested_backends()) {
    const Result found = attend(*backend, c);
    INFO(name);
    for (int32_t h = 0; h < found.col.n_rows; ++h) {
      double col = 0, win = 0;
      for (int32_t j = 0; j < c.n_rows; ++j) {
        col += double{found.col.at(h, j)} - 0.5;
        win += double{found.win.at(h, j)} - 0.5;
      }
      CHECK(col == Approx(700).epsilon(tolerance_of(name, 1e-6)));
      CHECK(win == Approx(700).epsilon(tolerance_of(name, 1e-6)));
    }
  }
}

}  // namespace headroom::test::attend_prefill_test
