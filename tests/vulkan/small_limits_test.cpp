// A device that binds little at once: the data of a long turn is found by address, and other buffers that are too large
// are refused with a message.
#include <cmath>

#include "engine/backend/cpu/reference/reference_backend.h"
#include "engine/backend/registry.h"
#include "engine/backend/vulkan/vulkan_backend.h"
#include "engine/run/session.h"
#include "tests/run/tiny_session.h"
#include "tests/vulkan/rig.h"

namespace headroom::vulkan::test::small_limits_test {
namespace {

using headroom::test::random_ids;
using headroom::test::tiny;

FactsHook binds_at_most(uint64_t bytes) {
  return [bytes](DeviceFacts& facts) { facts.max_storage_range = bytes; };
}

struct LastRows {
  std::vector<float> attended;
  std::vector<uint16_t> rows;  // K and V, in the format of a page
};

/// The last rows of a turn whose scratch has 2 MiB: stored, attended to in a small window, put into pages.
LastRows last_rows(Backend& backend) {
  constexpr int32_t head_dim = 64, n_heads = 2, row_values = n_heads * head_dim, capacity = 4096, n = 20;
  std::vector<float> values(3 * n * row_values), out(n * row_values);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 7 % 29) / 16 - 0.9f;
  const auto x = backend.allocate(values.size() * 4), y = backend.allocate(out.size() * 4);
  const auto scratch = backend.allocate(size_t{4} * capacity * row_values);
  backend.upload(*x, 0, std::as_bytes(std::span(values)));
  const Matrix all{x.get(), 0, 3 * n, row_values, row_values}, attended{y.get(), 0, n, row_values, row_values};
  const KvScratch kv{scratch.get(), capacity, row_values};
  backend.store_kv(all.rows(n, n), all.rows(2 * n, n), kv, capacity - n);
  constexpr int32_t window = 4;
  backend.attend_prefill({.q = all.rows(window, n - window),
                          .kv = kv,
                          .held = {},
                          .first_row = capacity - n + window,
                          .window = window,
                          .head_dim = head_dim,
                          .scale = 0.125f,
                          .out = attended.rows(window, n - window)});
  backend.download(*y, 0, std::as_writable_bytes(std::span(out)));

  const PageLayout layout{head_dim};
  backend.set_page_layout(layout);
  backend.add_slab(0);
  const std::vector<PageId> pages{4, 9};
  std::vector<SlotSource> sources;
  std::vector<int32_t> slots;
  for (int32_t i = 0; i < n; ++i) {
    sources.push_back({.kind = SlotSource::Kind::scratch, .index = capacity - 1 - i});
    slots.push_back(i);
  }
  backend.gather_slots({.kv_head = 1, .from = {}, .kv = kv, .log_rows = {}, .slots = sources, .pages = pages});
  LastRows result{.attended = {out.begin() + window * row_values, out.end()},
                  .rows = std::vector<uint16_t>(n * layout.slot_row_u16s())};
  backend.read_rows({pages, n}, slots, result.rows);
  backend.remove_slab(0);
  return result;
}

}  // namespace

TEST_CASE("the scratch of a long turn may be larger than what a device binds at once") {
  if (!has_device()) return;
  const LastRows expected = last_rows(*make_reference_backend());
  for (const VulkanVariant variant : {VulkanVariant::lane, VulkanVariant::subgroup}) {
    const auto backend = make_vulkan_backend({.variant = variant, .facts_hook = binds_at_most(1 << 20)});
    const LastRows found = last_rows(*backend);
    CHECK(found.rows == expected.rows);
    REQUIRE(found.attended.size() == expected.attended.size());
    float largest = 0;
    for (size_t i = 0; i < found.attended.size(); ++i)
      largest = std::max(largest, std::abs(found.attended[i] - expected.attended[i]));
    CHECK(largest < 1e-5f);
  }
}

TEST_CASE("a buffer that is larger than what the device binds is refused in a sentence, and nothing is lost") {
  if (!has_device()) return;
  Rig rig({}, binds_at_most(4096));
  const auto x = rig.floats({1, 2}), y = rig.floats({3, 4}), fits = rig.floats(std::vector<float>(1024, 1)),
             large = rig.floats(std::vector<float>(1025, 1));
  rig.add(*x, *y, 2);
  for (const Buffer* const first : {large.get(), x.get()}) {
    try {
      rig.add(*first, *large, 2);
      FAIL("it was bound");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::out_of_memory);
      CHECK_THAT(error.what(), Catch::Contains("Vulkan device") && Catch::Contains("smaller context"));
    }
  }
  rig.add(*fits, *fits, 2);
  CHECK(rig.read(*x) == std::vector<float>{4, 6});
}

TEST_CASE("a request for more than the device gives at once is refused in a sentence") {
  if (!has_device()) return;
  Rig rig({}, [](DeviceFacts& facts) { facts.max_allocation_bytes = 1 << 20; });
  CHECK_THROWS_WITH(rig.memory.allocate((1 << 20) + 1, MemoryUse::device),
                    Catch::Contains("at most 1 MiB at once") && Catch::Contains("smaller context"));
  CHECK(rig.memory.allocate(1 << 20, MemoryUse::device)->size_bytes() == 1 << 20);
}

TEST_CASE("a turn that is too long for a device ends with a sentence, and a shorter one follows") {
  if (!has_device()) return;
  const Model model = tiny(Architecture::llama);
  TurnObserver observer;
  TurnOptions options;
  options.max_tokens = 5;
  options.sampler.temperature = 0;
  for (const VulkanVariant variant : {VulkanVariant::lane, VulkanVariant::subgroup}) {
    const auto backend = make_vulkan_backend({.variant = variant, .facts_hook = binds_at_most(2 << 20)});
    Session session(model, *backend, {.cache = *find_cache_config("paper"), .n_ctx = 1024});
    const TurnResult refused = session.run_ids(random_ids(700, 200, 1), options, observer);
    CHECK(refused.stop_reason == StopReason::out_of_memory);
    CHECK_THAT(refused.stop_message, Catch::Contains("smaller context"));
    const auto cpu = make_backend({.name = "cpu", .n_threads = 1});
    Session expected(model, *cpu, {.cache = *find_cache_config("paper"), .n_ctx = 1024});
    const std::vector<TokenId> ids = random_ids(40, 200, 1);
    const TurnResult found = session.run_ids(ids, options, observer);
    INFO(found.stop_message);
    CHECK(found.ids == expected.run_ids(ids, options, observer).ids);
  }
}

TEST_CASE("a prompt that fills several buffers of the residual stream is read as in two turns") {
  const Model model = tiny(Architecture::llama);
  TurnOptions options;
  options.max_tokens = 5;
  options.sampler.temperature = 0;
  TurnObserver observer;
  const auto backend = make_backend({.name = "cpu", .n_threads = 1});
  std::vector<TokenId> wanted = random_ids(1000, 200, 1), in_two;
  {
    Session session(model, *backend, {.cache = *find_cache_config("full"), .n_ctx = 3000});
    const std::vector<TokenId> answer = session.run_ids(wanted, options, observer).ids;
    wanted.insert(wanted.end(), answer.begin(), answer.end());
    const std::vector<TokenId> rest = random_ids(1100, 200, 2);
    wanted.insert(wanted.end(), rest.begin(), rest.end());
    const TurnResult result = session.run_ids(wanted, options, observer);
    CHECK(result.n_prefilled_tokens < 1200);
    in_two = result.ids;
  }
  Session session(model, *backend, {.cache = *find_cache_config("full"), .n_ctx = 3000});
  const TurnResult at_once = session.run_ids(wanted, options, observer);
  CHECK(at_once.n_prefilled_tokens > 2048);
  CHECK(at_once.ids.size() == 5);
  CHECK(at_once.ids == in_two);
}

}  // namespace headroom::vulkan::test::small_limits_test
