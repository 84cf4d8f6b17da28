// What-if against counts made by hand: the policy of each head, its kept tokens, its bytes.
#include "ui/what_if.h"

#include <catch2/catch.hpp>
#include <numeric>

#include "engine/base/budget.h"

using namespace headroom;

namespace {

constexpr uint8_t s = Policy::special, p = Policy::punctuation, f = Policy::frequent, l = Policy::local;
constexpr int64_t page_bytes = 16 * (2 * 64 * 2 + 8);  // 16 slots of 64 values in f16 each, with tag and score

LoadedModel model_of(int32_t n_layers, int32_t n_kv_heads, std::vector<int32_t> windows = {}) {
  LoadedModel model;
  model.n_layers = n_layers;
  model.n_kv_heads = n_kv_heads;
  model.n_heads = n_kv_heads * 2;
  model.head_dim = 64;
  model.page_tokens = 16;
  model.page_bytes = page_bytes;
  model.windows = windows.empty() ? std::vector<int32_t>(static_cast<size_t>(n_layers)) : windows;
  return model;
}

/// 's' special, 'p' punctuation, anything else plain.
std::vector<MirrorToken> tokens_of(const std::string& classes) {
  std::vector<MirrorToken> tokens;
  for (const char c : classes)
    tokens.push_back({.token_class = c == 's'   ? TokenClass::special
                                     : c == 'p' ? TokenClass::punctuation
                                                : TokenClass::plain});
  return tokens;
}

/// Recoveries of the paper's policies; all other unions recover nothing.
MirrorHead head_of(double special, double punct, double frequent, double local) {
  MirrorHead head;
  head.profile.recoveries[s] = special;
  head.profile.recoveries[s | p] = punct;
  head.profile.recoveries[s | p | f] = frequent;
  head.profile.recoveries[s | p | f | l] = local;
  return head;
}

CacheConfig paper() {
  return *find_cache_config("paper");
}

}  // namespace

TEST_CASE("what-if: each head takes the first policy that reaches the threshold", "[what_if]") {
  // 40 tokens: 2 special, 3 punctuation, 35 plain.
  const std::vector<MirrorToken> tokens = tokens_of("s" + std::string(9, 'x') + "p" + std::string(9, 'x') + "p" +
                                                    std::string(9, 'x') + "p" + std::string(8, 'x') + "s");
  REQUIRE(tokens.size() == 40);
  const std::vector<MirrorHead> heads{head_of(0.97, 0.98, 0.99, 1),  head_of(0.2, 0.95, 0.96, 1),
                                      head_of(0.2, 0.3, 0.96, 0.99), head_of(0.2, 0.3, 0.4, 0.951),
                                      head_of(0.2, 0.3, 0.4, 0.5),   head_of(0.2, 0.3, 0.4, 0.5)};
  const WhatIf then = what_if(model_of(3, 2), tokens, heads, paper());

  const uint8_t full = Policy::full;
  CHECK(then.policies == std::vector<Policy>{{s}, {s | p}, {s | p | f}, {s | p | f | l}, {full}, {full}});
  // special: 2. punctuation: 3 more. frequent: ceil(0.3 * 40) = 12 more. local: the last 12 tokens are positions 28
  // to 39, of which 30 (punctuation) and 39 (special) are kept already: 5 + 10 + 12.
  CHECK(then.kept_tokens == std::vector<int32_t>{2, 5, 17, 27, 40, 40});
  // Pages of 16: 1 + 1 + 2 + 2 + 3 + 3.
  CHECK(then.kv_live_bytes == 12 * page_bytes);
  REQUIRE(then.totals.size() == 5);
  CHECK(then.totals[4].n_heads == 2);
  CHECK(then.totals[4].kept_tokens == 80);
  CHECK(then.totals[4].bytes == 6 * page_bytes);
}

TEST_CASE("what-if: a threshold that nothing reaches keeps everything, one of zero the first policy", "[what_if]") {
  const std::vector<MirrorToken> tokens = tokens_of("sxxxxxxxxx");
  const std::vector<MirrorHead> heads{head_of(0.9, 0.9, 0.9, 0.9)};
  CacheConfig config = paper();
  config.threshold = 1;
  CHECK(what_if(model_of(1, 1), tokens, heads, config).kept_tokens == std::vector<int32_t>{10});
  config.threshold = 0;
  CHECK(what_if(model_of(1, 1), tokens, heads, config).kept_tokens == std::vector<int32_t>{1});
}

TEST_CASE("what-if: frequent cannot keep more than there is", "[what_if]") {
  // 1 special + 8 punctuation leave one plain token for ceil(0.3 * 10) = 3 frequent places.
  const std::vector<MirrorHead> heads{head_of(0, 0, 1, 1)};
  CHECK(what_if(model_of(1, 1), tokens_of("sppppppppx"), heads, paper()).kept_tokens == std::vector<int32_t>{10});
}

TEST_CASE("what-if: a sliding window drops what it has passed, special tokens too", "[what_if]") {
  // A window of 11 reaches the last 10 of 20 tokens, with one punctuation token among them.
  const std::vector<MirrorToken> tokens = tokens_of("s" + std::string(14, 'x') + "p" + std::string(4, 'x'));
  const std::vector<MirrorHead> heads{head_of(1, 1, 1, 1), head_of(0, 1, 1, 1), head_of(0, 0, 0, 1),
                                      head_of(0, 0, 0, 0)};
  CHECK(what_if(model_of(4, 1, {11, 11, 11, 11}), tokens, heads, paper()).kept_tokens ==
        std::vector<int32_t>{0, 1, 7, 10});
}

TEST_CASE("what-if: a set of one policy is taken as it is, whatever it recovers", "[what_if]") {
  CacheConfig config = *find_cache_config("streaming");
  const WhatIf then =
      what_if(model_of(1, 1), tokens_of("s" + std::string(19, 'x')), std::vector<MirrorHead>(1), config);
  CHECK(then.kept_tokens == std::vector<int32_t>{4 + 6});
  CHECK(then.totals.size() == 1);
}

TEST_CASE("what-if: an empty cache costs nothing", "[what_if]") {
  const std::vector<MirrorHead> heads(6);
  const WhatIf then = what_if(model_of(3, 2), {}, heads, paper());
  CHECK(then.kv_live_bytes == 0);
  CHECK(then.kept_tokens == std::vector<int32_t>(6));
}

TEST_CASE("policy totals: the set in its order, then what other configurations left behind", "[what_if]") {
  std::vector<MirrorHead> heads(3);
  heads[0].policy = Policy{s};
  heads[0].kept_tokens = 2, heads[0].pages = 1;
  heads[1].policy = Policy{l};
  heads[1].kept_tokens = 20, heads[1].pages = 2;
  heads[2].policy = Policy{s};
  heads[2].kept_tokens = 3, heads[2].pages = 1;
  const std::vector<PolicyTotal> totals = policy_totals(model_of(3, 1), heads, paper());
  REQUIRE(totals.size() == 6);
  CHECK(totals[0].n_heads == 2);
  CHECK(totals[0].kept_tokens == 5);
  CHECK(totals[0].bytes == 2 * page_bytes);
  CHECK(totals[1].n_heads == 0);
  CHECK(totals[5].policy == Policy{l});
  CHECK(totals[5].bytes == 2 * page_bytes);
}

TEST_CASE("what-if: shared budgets are those of the engine's own function, bytes are whole pages", "[what_if]") {
  // 100 tokens, 2 special (position 0 counts as one), 30 of them within the second layer's window.
  const std::vector<MirrorToken> tokens = tokens_of("s" + std::string(60, 'x') + "s" + std::string(38, 'p'));
  const LoadedModel model = model_of(2, 2, {0, 31});
  CacheConfig config = *find_cache_config("headroom");
  config.keep = 0.5;
  config.beta = 1;
  config.head_importance = {0.1f, 2.5f, 0.4f, 1};
  // Special and first tokens: positions 0 to 3 and 61. The last 32: positions 68 to 99, which cover the whole second
  // window.
  const std::vector<HeadCapacity> rooms{{100, 4 + 1 + 32}, {100, 4 + 1 + 32}, {30, 30}, {30, 30}};
  const std::vector<int32_t> budgets = shared_budgets(config, 0.5, rooms);
  REQUIRE(std::accumulate(budgets.begin(), budgets.end(), 0) == 134);  // the protected tokens are more than half of 260
  const WhatIf then = what_if(model, tokens, std::vector<MirrorHead>(4), config);
  CHECK(then.kept_tokens == budgets);
  CHECK(then.kept.kept_tokens == 134);
  CHECK(then.kept.n_reach == 260);
  int64_t n_pages = 0;
  for (const int32_t n : budgets) n_pages += (n + 15) / 16;
  CHECK(then.kv_live_bytes == n_pages * page_bytes);
  REQUIRE(then.totals.size() == 1);
  CHECK(then.totals[0].n_heads == 4);
}

TEST_CASE("what-if: more tokens, more of them to the heads that count for more", "[what_if]") {
  const std::vector<MirrorToken> tokens = tokens_of("s" + std::string(999, 'x'));
  const LoadedModel model = model_of(2, 2);
  CacheConfig config = *find_cache_config("headroom");
  config.beta = 0.5;
  config.head_importance = {0.1f, 3.0f, 0.4f, 0.5f};
  config.keep = 0.4;
  const WhatIf then = what_if(model, tokens, std::vector<MirrorHead>(4), config);
  CHECK(then.kept.kept_tokens == 1600);
  CHECK(then.kept_tokens[1] > then.kept_tokens[3]);
  CHECK(then.kept_tokens[3] > then.kept_tokens[2]);
  CHECK(then.kept_tokens[2] > then.kept_tokens[0]);
  config.head_importance.clear();
  CHECK(what_if(model, tokens, std::vector<MirrorHead>(4), config).kept_tokens == std::vector<int32_t>(4, 400));
}

TEST_CASE("what-if: a bound of bytes is kept, one that cannot be is refused in a sentence", "[what_if]") {
  const std::vector<MirrorToken> tokens = tokens_of("s" + std::string(999, 'x'));
  CacheConfig config = *find_cache_config("uniform");
  config.keep = 0.8;
  config.kv_budget_bytes = 60 * page_bytes;
  const WhatIf then = what_if(model_of(2, 2), tokens, std::vector<MirrorHead>(4), config);
  CHECK(then.refusal.empty());
  CHECK(then.kv_live_bytes <= config.kv_budget_bytes);
  CHECK(then.kv_live_bytes > config.kv_budget_bytes / 2);
  config.kv_budget_bytes = 4 * page_bytes;
  const WhatIf refused = what_if(model_of(2, 2), tokens, std::vector<MirrorHead>(4), config);
  CHECK(refused.refusal.find("the KV budget is " + std::to_string(config.kv_budget_bytes) +
                             " bytes; expected at least") == 0);
  CHECK(refused.kept_tokens.empty());
}

TEST_CASE("what-if: T is solved for so that all heads together hold the share, never more", "[what_if]") {
  const std::vector<MirrorToken> tokens = tokens_of("s" + std::string(9, 'x') + "p" + std::string(9, 'x') + "p" +
                                                    std::string(9, 'x') + "p" + std::string(8, 'x') + "s");
  const std::vector<MirrorHead> heads{head_of(0.97, 0.98, 0.99, 1), head_of(0.2, 0.95, 0.96, 1),
                                      head_of(0.2, 0.3, 0.96, 0.99), head_of(0.2, 0.3, 0.4, 0.951)};
  CacheConfig config = paper();
  // With T = 0.95 the heads keep 2, 5, 17 and 27 of 40 tokens. A higher T would keep more than the requested share.
  config.keep = 51.0 / 160;
  const WhatIf then = what_if(model_of(2, 2), tokens, heads, config);
  CHECK(then.kept_tokens == std::vector<int32_t>{2, 5, 17, 27});
  CHECK(then.threshold > 0.94);
  CHECK(then.threshold <= 0.951);
  config.keep = 0.2;
  const WhatIf less = what_if(model_of(2, 2), tokens, heads, config);
  CHECK(less.kept.kept_tokens <= 32);
  CHECK(less.threshold < then.threshold);
  config.keep = 1;
  CHECK(what_if(model_of(2, 2), tokens, heads, config).threshold == 1);
}

TEST_CASE("what-if: another cache type changes bytes, not tokens", "[what_if]") {
  const LoadedModel model = model_of(1, 1);
  CHECK(page_bytes_of(model, CacheType::f16) == page_bytes);
  CHECK(page_bytes_of(model, CacheType::q8_0) == 16 * (2 * 68 + 8));
  const std::vector<MirrorToken> tokens = tokens_of("s" + std::string(99, 'x'));
  CacheConfig config = *find_cache_config("uniform");
  const WhatIf f16 = what_if(model, tokens, std::vector<MirrorHead>(1), config);
  config.cache_type = CacheType::q8_0;
  const WhatIf q8 = what_if(model, tokens, std::vector<MirrorHead>(1), config);
  CHECK(q8.kept_tokens == f16.kept_tokens);
  CHECK(q8.kv_live_bytes * (2 * 64 * 2 + 8) == f16.kv_live_bytes * (2 * 68 + 8));
}
