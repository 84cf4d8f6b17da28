// A device whose memory the host does not see, imitated on any device: how many submissions, waits and bytes a
// conversation needs, and that its results are the same.
#include "engine/backend/registry.h"
#include "engine/run/cache_lab.h"
#include "tests/run/tiny_session.h"
#include "tests/vulkan/rig.h"

namespace headroom::vulkan::test::own_memory_test {
namespace {

using headroom::test::random_ids;
using headroom::test::tiny;

constexpr int32_t n_vocab = 200;

SessionOptions options_of(const char* config) {
  return {.cache = *find_cache_config(config), .n_ctx = 512};
}

/// A turn that appends some prompt tokens to the session, and an answer of fixed length.
TurnResult turn(CacheLab& session, int32_t n_prompt, int32_t n_answer, uint64_t seed) {
  TurnObserver nobody;
  TurnOptions options;
  options.max_tokens = n_answer;
  options.sampler.temperature = 0;
  options.ignore_end_of_turn = true;
  std::vector<TokenId> ids = session.ids();
  for (const TokenId id : random_ids(n_prompt, n_vocab, seed)) ids.push_back(id);
  return session.run_ids(ids, options, nobody);
}

BackendCounters difference(const BackendCounters& after, const BackendCounters& before) {
  return {.calls = after.calls - before.calls,
          .submissions = after.submissions - before.submissions,
          .waits = after.waits - before.waits,
          .bytes_up = after.bytes_up - before.bytes_up,
          .bytes_down = after.bytes_down - before.bytes_down};
}

/// The cost of some tokens, generated one by one.
BackendCounters cost_of_tokens(Backend& backend, CacheLab& session, int32_t n) {
  const BackendCounters before = backend.counters();
  for (const TokenId id : random_ids(n, n_vocab, 9)) session.feed(id);
  return difference(backend.counters(), before);
}

}  // namespace

TEST_CASE("a conversation on a device with memory of its own is that on one with shared memory") {
  if (!has_device()) return;
  for (const char* config : {"paper", "headroom"}) {
    CAPTURE(config);
    const Model model = tiny(Architecture::llama);
    std::vector<std::vector<TokenId>> ids;
    std::vector<std::vector<CacheLab::HeadDump>> dumps;
    for (const char* name : {"vulkan-lane", "vulkan-own-memory"}) {
      const auto backend = make_backend({.name = name});
      CacheLab session(model, *backend, options_of(config));
      ids.push_back(turn(session, 150, 12, 1).ids);
      ids.back().push_back(-1);
      for (const TokenId id : turn(session, 70, 12, 2).ids) ids.back().push_back(id);
      dumps.push_back(session.dump());
      CHECK(session.undo_turn());
      for (const CacheLab::HeadDump& head : session.dump()) dumps.back().push_back(head);
    }
    CHECK(ids[0] == ids[1]);
    CHECK((dumps[0] == dumps[1]));
  }
}

TEST_CASE("a token costs one submission and one wait, and as many bytes at any depth") {
  if (!has_device()) return;
  const Model model = tiny(Architecture::llama);
  const auto backend = make_backend({.name = "vulkan-own-memory"});
  CacheLab session(model, *backend, options_of("full"));
  TurnObserver nobody;
  std::vector<BackendCounters> costs;
  for (const int32_t n_prompt : {20, 300}) {
    session.prefill(random_ids(n_prompt, n_vocab, 1), nobody);
    cost_of_tokens(*backend, session, 1);  // recorded
    costs.push_back(cost_of_tokens(*backend, session, 16));
  }
  for (const BackendCounters& cost : costs) {
    CHECK(cost.submissions == 16);
    CHECK(cost.waits == 16);
    CHECK(cost.bytes_down >= 16 * 4 * model.config().n_vocab);
  }
  CHECK(costs[0].bytes_up == costs[1].bytes_up);
  CHECK(costs[0].bytes_down == costs[1].bytes_down);
}

TEST_CASE("a second turn waits a few times per layer and never per head") {
  if (!has_device()) return;
  const Model model = tiny(Architecture::llama);
  const auto backend = make_backend({.name = "vulkan-own-memory"});
  for (const char* config : {"paper", "headroom"}) {
    CAPTURE(config);
    CacheLab session(model, *backend, options_of(config));
    turn(session, 150, 8, 1);
    const BackendCounters before = backend->counters();
    turn(session, 70, 0, 2);
    // Apart from the layers: two marks, the scores that the prefill starts from, its logits.
    CHECK(difference(backend->counters(), before).waits <= 4 * model.config().n_layers + 8);
  }
}

}  // namespace headroom::vulkan::test::own_memory_test
