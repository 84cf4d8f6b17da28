// The paged cache as memory: gather_slots, read_rows, read_scores, copy_page, slabs.
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/reference/reference_backend.h"
#include "engine/base/error.h"
#include "engine/base/platform/platform.h"
#include "tests/ops/backend_fixture.h"

namespace headroom::test::assemble_test {
namespace {

constexpr int32_t head_dim = 6;
constexpr size_t row = 2 * head_dim;  // K and V per slot

/// Positions in slot order; scores must ascend with the slot. A rule that keeps nothing (or one class) makes the head
/// report positions as it evicts them.
std::vector<int32_t> evicted_positions(Backend& backend, const TestCache& cache, uint8_t kept_parts) {
  const std::vector<HeadView> heads = cache.views();
  const std::vector<KeepRule> rules{{.policy = {kept_parts}}};
  const StepReport report =
      run_step(backend, {.n_kv_heads = 1, .heads = heads, .rules = rules}, [&] { backend.evict(0); });
  std::vector<int32_t> positions;
  for (const Eviction& eviction : report.evictions) positions.push_back(eviction.position);
  return positions;
}

}  // namespace

TEST_CASE("gather_slots takes rows from the held slots, the scratch and the log, in the order asked for") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    Random random(1);
    TestCache cache(*backend, head_dim);
    const std::vector<uint16_t> held = random_halves(random, 20 * row), log = random_halves(random, 3 * row);
    cache.add_head(random_slots(random, 20, 100), held);

    // Scratch of two KV heads, five rows.
    const Values k = random_values(random, 5, 2 * head_dim), v = random_values(random, 5, 2 * head_dim);
    const auto buffer = backend->allocate(2 * 7 * 2 * head_dim * 2);
    const KvScratch kv{buffer.get(), 7, 2 * head_dim};
    backend->store_kv(DeviceMatrix(*backend, k), DeviceMatrix(*backend, v), kv, 0);
    std::vector<uint16_t> scratch(2 * 7 * 2 * head_dim);
    backend->download(*buffer, 0, std::as_writable_bytes(std::span(scratch)));

    std::vector<SlotSource> sources;
    std::vector<uint16_t> expected;
    for (int32_t i = 0; i < 35; ++i) {
      SlotSource source{.kind = SlotSource::Kind::held,
                        .index = i * 7 % 20,
                        .tag = make_tag(1000 + i, TokenClass::plain),
                        .score = static_cast<float>(i)};
      const uint16_t* from = held.data() + static_cast<size_t>(source.index) * row;
      if (i % 5 == 1) {
        source.kind = SlotSource::Kind::log;
        source.index = i % 3;
        from = log.data() + static_cast<size_t>(source.index) * row;
      }
      if (i % 5 == 2) {
        source.kind = SlotSource::Kind::scratch;
        source.index = i % 4;
        const size_t first = static_cast<size_t>(source.index) * 2 * head_dim + head_dim;  // KV head 1
        expected.insert(expected.end(), scratch.begin() + static_cast<int64_t>(first),
                        scratch.begin() + static_cast<int64_t>(first) + head_dim);
        expected.insert(expected.end(), scratch.begin() + static_cast<int64_t>(first) + 7 * 2 * head_dim,
                        scratch.begin() + static_cast<int64_t>(first) + 7 * 2 * head_dim + head_dim);
      } else {
        expected.insert(expected.end(), from, from + row);
      }
      sources.push_back(source);
    }
    const std::vector<PageId> pages{cache.take_page(), cache.take_page(), cache.take_page()};
    backend->gather_slots(
        {.kv_head = 1, .from = cache.views()[0], .kv = kv, .log_rows = log, .slots = sources, .pages = pages});

    const HeadView head{pages, 35};
    std::vector<int32_t> all(35);
    std::iota(all.begin(), all.end(), 0);
    std::vector<uint16_t> rows(35 * row);
    backend->read_rows(head, all, rows);
    CHECK(rows == expected);
    std::vector<float> scores(35);
    backend->read_scores(head, scores);
    for (size_t i = 0; i < scores.size(); ++i) CHECK(scores[i] == static_cast<float>(i));
    CHECK(cache.rows(0) == held);  // the old pages are unchanged

    std::vector<uint16_t> two(2 * row);
    backend->read_rows(head, std::vector<int32_t>{34, 0}, two);
    CHECK(std::equal(two.begin(), two.begin() + row, expected.end() - row));
    CHECK(std::equal(two.begin() + row, two.end(), expected.begin()));
  }
}

TEST_CASE("gather_slots keeps positions and token classes with their slots") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    for (const uint8_t kept : {uint8_t{0}, Policy::special, Policy::punctuation}) {
      Random random(4);
      TestCache cache(*backend, head_dim);
      std::vector<Slot> slots = random_slots(random, 33, 100);
      std::vector<int32_t> expected;
      for (size_t i = 0; i < slots.size(); ++i) {
        slots[i].score = static_cast<float>(i);
        const bool stays = (kept == Policy::special && slots[i].token_class == TokenClass::special) ||
                           (kept == Policy::punctuation && slots[i].token_class == TokenClass::punctuation);
        if (!stays) expected.push_back(slots[i].position);
      }
      cache.add_head(slots, random_halves(random, 33 * row));
      CHECK(evicted_positions(*backend, cache, kept) == expected);
    }
  }
}

TEST_CASE("copy_page copies K, V, tags and scores") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    Random random(9);
    TestCache cache(*backend, head_dim);
    const std::vector<uint16_t> rows = random_halves(random, 16 * row);
    cache.add_head(random_slots(random, 16, 50), rows);
    const std::vector<float> scores = cache.scores(0);
    const PageId to = cache.take_page();
    backend->copy_page(cache.views()[0].pages[0], to);

    const std::vector<PageId> pages{to};
    const HeadView copy{pages, 16};
    std::vector<float> found(16);
    backend->read_scores(copy, found);
    CHECK(found == scores);
    std::vector<int32_t> all(16);
    std::iota(all.begin(), all.end(), 0);
    std::vector<uint16_t> found_rows(16 * row);
    backend->read_rows(copy, all, found_rows);
    CHECK(found_rows == rows);
  }
}

TEST_CASE("slabs are refused beyond the limit, and a refused slab changes nothing") {
  const size_t limit = 2 * slab_bytes;
  std::vector<std::unique_ptr<Backend>> backends;
  backends.push_back(make_cpu_backend({.n_threads = 1, .kv_limit_bytes = limit}));
  backends.push_back(make_reference_backend(limit));
  for (const auto& backend : backends) {
    backend->set_page_layout({64});
    backend->add_slab(0);
    backend->add_slab(5);
    try {
      backend->add_slab(1);
      FAIL("a third slab was given");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::out_of_memory);
    }
    backend->remove_slab(0);
    backend->add_slab(1);
    backend->copy_page(5 * PageLayout{64}.pages_per_slab(), PageLayout{64}.pages_per_slab());
    backend->remove_slab(1);
    backend->remove_slab(5);
  }
}

TEST_CASE("a removed slab's memory goes back to the system at once") {
  const auto backend = cpu();
  const PageLayout layout{64};
  backend->set_page_layout(layout);
  constexpr int32_t n_slabs = 16;
  for (int32_t slab = 0; slab < n_slabs; ++slab) {
    backend->add_slab(slab);
    const PageId first = slab * layout.pages_per_slab();
    for (PageId page = 1; page < layout.pages_per_slab(); ++page) backend->copy_page(first, first + page);
  }
  const int64_t before = resident_bytes();
  for (int32_t slab = 0; slab < n_slabs; ++slab) backend->remove_slab(slab);
  CHECK(before - resident_bytes() > static_cast<int64_t>(n_slabs * slab_bytes * 9 / 10));
}

}  // namespace headroom::test::assemble_test
