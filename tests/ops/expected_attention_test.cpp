// add_query_moments and expected_attention: moments of queries about a shift, and the attention that keys can expect.
#include "tests/ops/backend_fixture.h"

namespace headroom::test::expected_attention_test {
namespace {

/// One buffer of floats on a backend.
class FloatBuffer {
 public:
  FloatBuffer(Backend& backend, std::vector<float> values)
      : backend_(backend), buffer_(backend.allocate(values.size() * sizeof(float))) {
    backend.upload(*buffer_, 0, std::as_bytes(std::span(values)));
  }
  DeviceBuffer* get() const { return buffer_.get(); }
  Values read(int32_t n_rows) const {
    Values values = zeros(n_rows, static_cast<int32_t>(buffer_->size_bytes() / sizeof(float)) / n_rows);
    backend_.download(*buffer_, 0, std::as_writable_bytes(std::span(values.data)));
    return values;
  }

 private:
  Backend& backend_;
  std::unique_ptr<DeviceBuffer> buffer_;
};

/// Moments of random queries, added in blocks. The shift is the first row, like in a prefill.
Values add_moments(Backend& backend, int32_t n_rows, int32_t n_heads, int32_t head_dim, int32_t block_rows) {
  Random random(3);
  const Values q = random_values(random, n_rows, n_heads * head_dim);
  std::vector<float> moments(static_cast<size_t>(n_heads * QueryMoments::values(head_dim)));
  for (int32_t h = 0; h < n_heads; ++h)
    for (int32_t i = 0; i < head_dim; ++i)
      moments[static_cast<size_t>(h * QueryMoments::values(head_dim) + i)] = q.at(0, h * head_dim + i);
  const FloatBuffer buffer(backend, std::move(moments));
  const DeviceMatrix q_matrix(backend, q);
  for (int32_t first = 0; first < n_rows; first += block_rows)
    backend.add_query_moments(q_matrix.matrix().rows(first, std::min(block_rows, n_rows - first)), head_dim,
                              {buffer.get()});
  return buffer.read(n_heads);
}

struct Expected {
  Values logits, norms;
};

Expected expect(Backend& backend, int32_t n_rows, int32_t head_dim, int32_t group, const std::vector<int32_t>& held,
                CacheType type = CacheType::f16) {
  Random random(11);
  constexpr int32_t n_kv_heads = 2;
  const int32_t n_heads = n_kv_heads * group;
  const KvScratch shape{nullptr, n_rows + 3, n_kv_heads * head_dim};
  const auto scratch = backend.allocate(static_cast<size_t>(4 * shape.capacity_rows * shape.row_values));
  const KvScratch kv{scratch.get(), shape.capacity_rows, shape.row_values};
  if (n_rows > 0)
    backend.store_kv(DeviceMatrix(backend, random_values(random, n_rows, kv.row_values)),
                     DeviceMatrix(backend, random_values(random, n_rows, kv.row_values)), kv, 0);
  const PageLayout layout{head_dim, type};
  TestCache cache(backend, layout);
  int32_t n_held_columns = 0;
  for (const int32_t length : held) {
    cache.add_head(random_slots(random, length, 400), random_rows(random, layout, length));
    n_held_columns = std::max(n_held_columns, length + 2);
  }
  const FloatBuffer queries(backend, random_values(random, n_heads, head_dim * (1 + head_dim), 0.1f).data);
  const std::vector<HeadView> views = cache.views();
  Values initial = zeros(n_heads, n_held_columns + n_rows);
  for (float& value : initial.data) value = 0.25f;  // columns behind a head's slots stay unchanged
  const DeviceMatrix logits(backend, initial),
      norms(backend, {n_kv_heads, initial.n_cols,
                      std::vector<float>(initial.data.begin(), initial.data.begin() + n_kv_heads * initial.n_cols)});
  backend.expected_attention({.queries = queries.get(),
                              .kv = kv,
                              .n_rows = n_rows,
                              .held = views,
                              .n_held_columns = n_held_columns,
                              .head_dim = head_dim,
                              .logits = logits,
                              .norms = norms});
  return {logits.read(), norms.read()};
}

}  // namespace

TEST_CASE("moments by hand: the rows (1, 2), (3, 5) and (1, 0) about (1, 2)") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    const FloatBuffer buffer(*backend, {1, 2, 0, 0, 0, 0, 0, 0});
    const DeviceMatrix q(*backend, {3, 2, {1, 2, 3, 5, 1, 0}});
    backend->add_query_moments(q, 2, {buffer.get()});
    // shift; sums 0 + 2 + 0, 0 + 3 - 2; products of (0, 0), (2, 3), (0, -2)
    CHECK(buffer.read(1).data == std::vector<float>{1, 2, 2, 1, 4, 6, 6, 13});
  }
}

TEST_CASE("moments agree with the reference for awkward sizes, however rows are cut into blocks") {
  for (const int32_t head_dim : {2, 6, 16, 64, 80, 96, 128, 256})
    for (const int32_t n_rows : {1, 3, 63, 130}) {
      if (head_dim >= 96 && n_rows > 63) continue;  // the reference is slow if every access is checked
      CAPTURE(head_dim, n_rows);
      const Values expected = add_moments(shared_backend("cpu-reference"), n_rows, 3, head_dim, n_rows);
      for (const auto& [name, backend] : tested_backends()) {
        INFO(name);
        const Values found = add_moments(*backend, n_rows, 3, head_dim, 40);
        CHECK(nmse(found, expected) <= max_float_nmse);
        CHECK(relative_error(found, expected) < tolerance_of(name, 4e-6));
      }
      CHECK(add_moments(*cpu(1), n_rows, 3, head_dim, 40).data == add_moments(*cpu(2), n_rows, 3, head_dim, 40).data);
    }
}

TEST_CASE("expected attention by hand: k = (1, 2), v = (3, 4), linear (5, 1), quadratic ((1, 0.5), (0.5, 2))") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    const auto scratch = backend->allocate(2 * 2 * 2);
    const KvScratch kv{scratch.get(), 1, 2};
    backend->store_kv(DeviceMatrix(*backend, {1, 2, {1, 2}}), DeviceMatrix(*backend, {1, 2, {3, 4}}), kv, 0);
    const FloatBuffer queries(*backend, {5, 1, 1, 0.5f, 0.5f, 2});
    const DeviceMatrix logits(*backend, zeros(1, 1)), norms(*backend, zeros(1, 1));
    backend->expected_attention(
        {.queries = queries.get(), .kv = kv, .n_rows = 1, .held = {}, .head_dim = 2, .logits = logits, .norms = norms});
    CHECK(logits.read().data[0] == Approx(5 + 2 + 1 + 2 + 8));
    CHECK(norms.read().data[0] == Approx(5));
  }
}

TEST_CASE("expected attention agrees with the reference for awkward sizes, over held slots and new rows") {
  for (const int32_t head_dim : {2, 6, 16, 64, 80, 128, 256})
    for (const int32_t group : {1, 3, 7})
      for (const int32_t n_rows : {1, 63, 64, 130}) {
        CAPTURE(head_dim, group, n_rows);
        if (head_dim * group * n_rows > 12000 || head_dim * group > 600) continue;  // the reference is slow
        for (const std::vector<int32_t>& held : {std::vector<int32_t>{}, std::vector<int32_t>{0, 77}}) {
          const Expected expected = expect(shared_backend("cpu-reference"), n_rows, head_dim, group, held);
          for (const auto& [name, backend] : tested_backends()) {
            INFO(name);
            const Expected found = expect(*backend, n_rows, head_dim, group, held);
            CHECK(nmse(found.logits, expected.logits) <= max_coarse_nmse);
            CHECK(relative_error(found.logits, expected.logits) < tolerance_of(name, 1e-5));
            CHECK(relative_error(found.norms, expected.norms) < tolerance_of(name, 1e-5));
          }
          CHECK(expect(*cpu(1), n_rows, head_dim, group, held).logits.data ==
                expect(*cpu(2), n_rows, head_dim, group, held).logits.data);
        }
      }
}

TEST_CASE("expected attention reads held slots of 8 bits") {
  for (const int32_t head_dim : {64, 128}) {
    const Expected expected = expect(shared_backend("cpu-reference"), 20, head_dim, 3, {33, 0}, CacheType::q8_0);
    for (const auto& [name, backend] : tested_backends()) {
      CAPTURE(name, head_dim);
      const Expected found = expect(*backend, 20, head_dim, 3, {33, 0}, CacheType::q8_0);
      CHECK(relative_error(found.logits, expected.logits) < tolerance_of(name, 1e-5));
      CHECK(relative_error(found.norms, expected.norms) < tolerance_of(name, 1e-5));
    }
  }
}

TEST_CASE("moments and expected attention agree with the reference with every instruction set") {
  for (const CpuLevel level : cpu_levels()) {
    const CpuLevelVariable variable(level);
    INFO(cpu_level_name(level));
    for (const int32_t head_dim : {6, 16, 80}) {
      CHECK(relative_error(add_moments(*cpu(), 37, 3, head_dim, 20), add_moments(*reference(), 37, 3, head_dim, 37)) <
            4e-6);
      CHECK(relative_error(expect(*cpu(), 37, head_dim, 3, {5, 40}).logits,
                           expect(*reference(), 37, head_dim, 3, {5, 40}).logits) < 1e-5);
    }
  }
}

}  // namespace headroom::test::expected_attention_test
