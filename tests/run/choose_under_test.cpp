// One prefill for many configurations. In any order, each keeps the same slots as after its own prefill, and answers
// and second turns are the same.
#include <catch2/catch.hpp>
#include <cmath>

#include "engine/backend/registry.h"
#include "engine/run/cache_lab.h"
#include "tests/run/tiny_session.h"

using namespace headroom;

namespace choose_under_test {
namespace {

using test::every_architecture;
using test::random_ids;
using test::tiny;

struct Fixture {
  Model model;
  std::unique_ptr<Backend> backend = make_backend({.name = "cpu", .n_threads = 2});
  CacheLab session;
  TurnObserver silent;

  explicit Fixture(Architecture architecture)
      : model(tiny(architecture)), session(model, *backend, {.cache = *find_cache_config("full"), .n_ctx = 0}) {}

  std::vector<TokenId> ids(int32_t n, uint64_t seed) const { return random_ids(n, model.config().n_vocab, seed); }
  std::vector<float> feed(int32_t n) {
    std::vector<float> logits;
    for (const TokenId id : ids(n, 77)) {
      const std::span<const float> step = session.feed(id);
      logits.insert(logits.end(), step.begin(), step.end());
    }
    return logits;
  }
};

/// Every named configuration unchanged and, if it supports shares, at one share.
std::vector<CacheConfig> all_configs() {
  std::vector<CacheConfig> configs;
  for (const std::string& name : cache_config_names()) {
    configs.push_back(*find_cache_config(name));
    if (takes_keep(configs.back())) configs.push_back(with_keep(configs.back(), 0.4));
  }
  return configs;
}

void check_equal(const CacheLab& one, const CacheLab& other) {
  const CacheState a = one.cache_state(), b = other.cache_state();
  CHECK(a.kv_live_bytes == b.kv_live_bytes);
  CHECK(a.config.threshold == b.config.threshold);
  CHECK(a.config.r_local == b.config.r_local);
  CHECK(a.policy_counts == b.policy_counts);
  CHECK(one.kept_bits() == other.kept_bits());
  CHECK(one.dump() == other.dump());
}

void check_close(const std::vector<float>& found, const std::vector<float>& expected) {
  REQUIRE(found.size() == expected.size());
  float largest = 0;
  for (size_t i = 0; i < found.size(); ++i) largest = std::max(largest, std::abs(found[i] - expected[i]));
  CHECK(largest < 1e-4f);
}

}  // namespace

TEST_CASE("after one prefill every configuration keeps what it keeps after its own, and writes the same") {
  for (const Architecture architecture : every_architecture) {
    Fixture shared(architecture), own(architecture);
    const std::vector<TokenId> prompt = shared.ids(190, 1), question = shared.ids(30, 2), text = shared.ids(80, 3);
    shared.session.prefill_for_all(prompt, CacheType::f16, shared.silent);
    for (const CacheConfig& config : all_configs()) {
      CAPTURE(static_cast<int>(architecture), config.name, config.keep);
      REQUIRE(CacheLab::can_choose_under(config));
      REQUIRE(shared.session.choose_under(config));
      own.session.set_cache_config(config);
      own.session.clear();
      own.session.prefill(prompt, own.silent);
      check_equal(shared.session, own.session);
      check_close({shared.session.logits().begin(), shared.session.logits().end()},
                  {own.session.logits().begin(), own.session.logits().end()});
      check_close(shared.feed(70), own.feed(70));
      check_equal(shared.session, own.session);
      // A short second message, after which no head chooses again, and a long one, after which each does.
      for (const std::vector<TokenId>& more : {question, text}) {
        shared.session.prefill(more, shared.silent);
        own.session.prefill(more, own.silent);
        check_equal(shared.session, own.session);
        check_close(shared.feed(5), own.feed(5));
      }
    }
  }
}

TEST_CASE("a local share that was not measured takes a prefill of its own; single policies need none") {
  CacheConfig paper = *find_cache_config("paper");
  paper.r_local = 0.25;
  CHECK_FALSE(CacheLab::can_choose_under(paper));
  CHECK(CacheLab::can_choose_under(with_keep(paper, 0.5)));  // the threshold is solved with the measured shares
  CHECK(CacheLab::can_choose_under(with_keep(*find_cache_config("h2o"), 0.37)));
  CHECK(CacheLab::can_choose_under(with_keep(*find_cache_config("headroom"), 0.37)));
}

TEST_CASE("a turn after a prefill for all begins anew, and can be undone as ever") {
  Fixture it(Architecture::llama);
  TurnOptions options;
  options.max_tokens = 4;
  const std::vector<TokenId> prompt = it.ids(100, 1);
  it.session.prefill_for_all(prompt, CacheType::f16, it.silent);
  REQUIRE(it.session.choose_under(*find_cache_config("h2o")));
  const std::vector<CacheLab::HeadDump> before = it.session.dump();
  std::vector<TokenId> wanted = prompt;
  const std::vector<TokenId> more = it.ids(40, 2);
  wanted.insert(wanted.end(), more.begin(), more.end());
  CHECK(it.session.run_ids(wanted, options, it.silent).action == CacheAction::appended);
  CHECK_FALSE(it.session.choose_under(*find_cache_config("full")));
  it.session.clear();
  it.session.prefill_for_all(prompt, CacheType::f16, it.silent);
  REQUIRE(it.session.choose_under(*find_cache_config("h2o")));
  it.session.run_ids(wanted, options, it.silent);
  CHECK(it.session.undo_turn());
  CHECK(it.session.dump() == before);
}

TEST_CASE("a prefill for all that was stopped leaves nothing behind") {
  struct Stopping : TurnObserver {
    bool stop_requested() override { return ++n_asked > 1; }
    int n_asked = 0;
  } stopping;
  Fixture it(Architecture::llama), own(Architecture::llama);
  const std::vector<TokenId> prompt = it.ids(100, 1), more = it.ids(80, 2);
  CHECK_THROWS(it.session.prefill_for_all(prompt, CacheType::f16, stopping));
  CHECK(it.session.ids().empty());
  for (Fixture* fixture : {&it, &own}) {
    fixture->session.set_cache_config(*find_cache_config("h2o"));
    fixture->session.prefill(prompt, fixture->silent);
    fixture->session.prefill(more, fixture->silent);
  }
  check_equal(it.session, own.session);
  CHECK(it.session.undo_turn());
  CHECK(it.session.ids() == prompt);
}

}  // namespace choose_under_test
