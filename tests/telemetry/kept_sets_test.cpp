// Kept sets after any sequence of events equal those of a plain model: one set of positions per head.
#include <random>
#include <set>

#include "tests/telemetry/small_stream.h"

using namespace headroom;
using namespace headroom::test;

namespace {

constexpr int32_t n_layers = 3, n_kv_heads = 2, n_heads = n_layers * n_kv_heads;

/// Sends random events and applies the same changes to plain sets.
class RandomWalk {
 public:
  explicit RandomWalk(uint32_t seed) : random_(seed), sets_(n_heads) {
    s_.say_hello();
    stream::LoadedT loaded = SmallStream::loaded();
    loaded.n_layers = n_layers;
    loaded.n_kv_heads = n_kv_heads;
    loaded.n_heads = 2 * n_kv_heads;
    loaded.windows.assign(n_layers, 0);
    loaded.n_ctx = loaded.n_ctx_train = 4096;
    s_.send(std::move(loaded));
  }

  const Mirror& mirror() const { return s_.mirror; }

  void move() {
    if (below(8) == 0) {
      rebuild(below(3) == 0 ? below(n_tokens_ + 1) : n_tokens_ + below(20));
    } else {
      step();
    }
    check();
  }

 private:
  int32_t below(int32_t n) { return static_cast<int32_t>(random_() % static_cast<uint32_t>(n)); }

  void rebuild(int32_t n_tokens) {
    stream::TokensT tokens;
    tokens.first_position = std::min(n_tokens, n_tokens_);
    tokens.ids.assign(static_cast<size_t>(n_tokens - tokens.first_position), 3);
    tokens.classes.assign(tokens.ids.size(), 0);
    tokens.ends.assign(tokens.ids.size(), 0);
    s_.send(std::move(tokens));
    n_tokens_ = n_tokens;

    const size_t row_bytes = (static_cast<size_t>(n_tokens) + 7) / 8;
    stream::CacheRebuiltT rebuilt;
    rebuilt.kept.assign(n_heads * row_bytes, 0);
    std::vector<int32_t> lengths;
    for (size_t head = 0; head < n_heads; ++head) {
      sets_[head].clear();
      for (int32_t p = 0; p < n_tokens; ++p)
        if (below(3) > 0) sets_[head].insert(p);
      for (const int32_t p : sets_[head])
        rebuilt.kept[head * row_bytes + static_cast<size_t>(p) / 8] |= static_cast<uint8_t>(1 << p % 8);
      lengths.push_back(static_cast<int32_t>(sets_[head].size()));
    }
    rebuilt.policies.assign(n_heads, Policy::full);
    rebuilt.snapshot = SmallStream::snapshot(n_tokens, lengths);
    rebuilt.config = SmallStream::config();
    s_.send(std::move(rebuilt));
  }

  void step() {
    stream::StepT step = SmallStream::step(n_tokens_, 4, "x");
    for (size_t head = 0; head < n_heads; ++head) {
      sets_[head].insert(n_tokens_);
      for (int32_t n = below(3); n > 0 && !sets_[head].empty(); --n) {
        const auto gone = std::next(sets_[head].begin(), below(static_cast<int32_t>(sets_[head].size())));
        step.evicted_heads.push_back(static_cast<uint32_t>(head));
        step.evicted_positions.push_back(*gone);
        sets_[head].erase(gone);
      }
    }
    s_.send(std::move(step));
    ++n_tokens_;
  }

  void check() const {
    const Mirror& m = s_.mirror;
    REQUIRE(m.n_cached() == n_tokens_);
    std::vector<int32_t> holding(static_cast<size_t>(n_tokens_), 0);
    for (int32_t head = 0; head < n_heads; ++head) {
      const std::set<int32_t>& set = sets_[static_cast<size_t>(head)];
      REQUIRE(m.kept_positions(head) == std::vector<int32_t>(set.begin(), set.end()));
      REQUIRE(m.heads()[static_cast<size_t>(head)].kept_tokens == static_cast<int32_t>(set.size()));
      for (const int32_t p : set) ++holding[static_cast<size_t>(p)];
    }
    for (int32_t p = 0; p < n_tokens_; ++p) REQUIRE(m.n_heads_holding(p) == holding[static_cast<size_t>(p)]);
  }

  std::mt19937 random_;
  SmallStream s_;
  std::vector<std::set<int32_t>> sets_;
  int32_t n_tokens_ = 0;
};

}  // namespace

TEST_CASE("kept sets after random prompts, undos and steps equal plain sets", "[mirror][kept]") {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    INFO("seed " << seed);
    RandomWalk walk(seed);
    for (int i = 0; i < 60; ++i) walk.move();
  }
}

TEST_CASE("a cut drops the positions behind it and nothing else", "[mirror][kept]") {
  KeptSets sets;
  sets.reset(2);
  const std::vector<uint8_t> kept{0xff, 0x03, 0x55, 0x01};
  sets.assign(10, kept);
  CHECK(sets.n_kept(0) == 10);
  CHECK(sets.n_kept(1) == 5);
  sets.cut(9);
  CHECK(sets.n_kept(0) == 9);
  CHECK(sets.n_kept(1) == 5);
  sets.cut(3);
  CHECK(sets.n_kept(0) == 3);
  CHECK(sets.n_kept(1) == 2);
  CHECK(sets.n_holding(1) == 1);
  CHECK(sets.n_holding(2) == 2);
  sets.append();  // the bit behind the cut is new
  CHECK(sets.holds(1, 3));
  CHECK(sets.n_kept(1) == 3);
  sets.cut(0);
  CHECK(sets.n_tokens() == 0);
  CHECK(sets.n_kept(0) == 0);
}
