// Many decode steps on one cache: attend_decode appends and evict removes, step by step and layer by layer, while heads
// grow and shrink. All steps share one program, and a backend that records it must not repeat its data.
#include "tests/ops/backend_fixture.h"

namespace headroom::test::decode_steps_test {
namespace {

struct Setup {
  int32_t head_dim = 16;
  int32_t group = 3;
  CacheType type = CacheType::f16;
  int32_t n_steps = 40;
};

struct Step {
  StepReport report;
  std::vector<Values> out;  // by layer
};

constexpr int32_t n_layers = 3, n_kv_heads = 2;

/// A head keeps 4 recent tokens and fewer and fewer of the rest, so that some steps evict several.
KeepRule rule_at(int32_t head, int32_t step) {
  if (head == 1) return {.policy = {Policy::full}, .reach_from = step > 30 ? 20 : 0};
  const int32_t kept = 30 + step - (step > 12 ? 9 : 0) * (head % 3) - (step > 25 && head == 4 ? 20 : 0);
  return {.policy = {Policy::special | Policy::frequent | Policy::local},
          .reach_from = 0,
          .local_from = 96 + step,
          .n_frequent = head == 5 ? 10 : kept};
}

/// New values for a matrix of one row.
void fill(Backend& backend, Matrix to, const Values& values) {
  backend.upload(*to.buffer, static_cast<size_t>(to.offset) * sizeof(float), std::as_bytes(std::span(values.data)));
}

std::vector<Step> run(Backend& backend, const Setup& setup) {
  Random random(8);
  const PageLayout layout{setup.head_dim, setup.type};
  TestCache cache(backend, layout);
  std::vector<std::vector<PageId>> pages;
  std::vector<int32_t> lengths;
  for (int32_t head = 0; head < n_layers * n_kv_heads; ++head) {
    const int32_t length = 10 + 15 * head;
    cache.add_head(random_slots(random, length, 100), random_rows(random, layout, length));
    const HeadView view = cache.views().back();
    pages.emplace_back(view.pages.begin(), view.pages.end());
    lengths.push_back(length);
  }

  const int32_t kv_values = n_kv_heads * setup.head_dim, q_values = setup.group * kv_values;
  std::vector<DeviceMatrix> q, k, v, out;
  for (int32_t layer = 0; layer < n_layers; ++layer) {
    q.emplace_back(backend, zeros(1, q_values));
    k.emplace_back(backend, zeros(1, kv_values));
    v.emplace_back(backend, zeros(1, kv_values));
    out.emplace_back(backend, zeros(1, q_values));
  }
  const auto program = backend.make_step(
      [&] {
        for (size_t layer = 0; layer < n_layers; ++layer) {
          backend.attend_decode(static_cast<int32_t>(layer), q[layer], k[layer], v[layer], 0.25f, out[layer]);
          backend.evict(static_cast<int32_t>(layer));
        }
      },
      out.back());
  std::vector<Step> steps;
  for (int32_t i = 0; i < setup.n_steps; ++i) {
    std::vector<HeadView> views;
    std::vector<KeepRule> rules;
    for (size_t head = 0; head < pages.size(); ++head) {
      if (pages[head].size() * page_tokens == static_cast<size_t>(lengths[head]))
        pages[head].push_back(cache.take_page());
      views.push_back({pages[head], lengths[head]});
      rules.push_back(rule_at(static_cast<int32_t>(head), i));
    }
    for (size_t layer = 0; layer < n_layers; ++layer) {
      fill(backend, q[layer], random_values(random, 1, q_values));
      fill(backend, k[layer], random_values(random, 1, kv_values));
      fill(backend, v[layer], random_values(random, 1, kv_values));
    }
    Step step;
    backend.prepare_step(*program, {.position = 100 + i,
                                    .token_class = static_cast<TokenClass>(i % 3),
                                    .n_kv_heads = n_kv_heads,
                                    .heads = views,
                                    .rules = rules,
                                    .log_before = 90});
    Values result = zeros(1, q_values);
    step.report = backend.run_step(result.data);
    for (const DeviceMatrix& matrix : out) step.out.push_back(matrix.read());
    CHECK(result.data == step.out.back().data);
    for (int32_t& length : lengths) ++length;
    for (const Eviction& eviction : step.report.evictions) --lengths[static_cast<size_t>(eviction.head)];
    steps.push_back(std::move(step));
  }
  return steps;
}

void check(const std::vector<Step>& expected, const std::vector<Step>& found, double tolerance) {
  REQUIRE(found.size() == expected.size());
  size_t n_evictions = 0, n_logged = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    const std::vector<Eviction>&want = expected[i].report.evictions, &got = found[i].report.evictions;
    REQUIRE(got.size() == want.size());
    for (size_t e = 0; e < want.size(); ++e) {
      CAPTURE(e);
      REQUIRE(got[e].head == want[e].head);
      REQUIRE(got[e].slot == want[e].slot);
      REQUIRE(got[e].position == want[e].position);
      CHECK(got[e].score == Approx(want[e].score).epsilon(1e-4));
      CHECK(got[e].row == want[e].row);
      ++n_evictions;
      n_logged += want[e].row >= 0;
    }
    CHECK(found[i].report.rows == expected[i].report.rows);
    for (size_t layer = 0; layer < expected[i].out.size(); ++layer)
      CHECK(relative_error(found[i].out[layer], expected[i].out[layer]) < tolerance);
  }
  CHECK(n_evictions > 80);
  CHECK(n_logged > 60);
}

void check_against_reference(const Setup& setup) {
  CAPTURE(setup.head_dim, setup.group, cache_type_name(setup.type));
  const std::vector<Step> expected = run(*reference(), setup);
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    if (name != "cpu-reference") check(expected, run(*backend, setup), tolerance_of(name, 1e-5));
  }
}

}  // namespace

TEST_CASE("step after step a backend holds, lets go and reports what the reference does") {
  check_against_reference({});
  check_against_reference({.head_dim = 6, .group = 1});
  check_against_reference({.head_dim = 64, .group = 3, .type = CacheType::q8_0});
}

TEST_CASE("a query group of many heads is served") {
  check_against_reference({.head_dim = 16, .group = 12, .n_steps = 30});
}

}  // namespace headroom::test::decode_steps_test
