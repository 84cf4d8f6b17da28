// Solving for the threshold that keeps a wanted share of the tokens.
#include "engine/kv/solve_threshold.h"

#include <catch2/catch.hpp>

namespace headroom::threshold_test {
namespace {

std::vector<SlotTag> tags_of(int32_t n) {
  std::vector<SlotTag> tags;
  for (int32_t i = 0; i < n; ++i)
    tags.push_back(make_tag(i, i == 0        ? TokenClass::special
                               : i % 10 == 5 ? TokenClass::punctuation
                                             : TokenClass::plain));
  return tags;
}

/// A head whose policies of the paper recover these, with every share alike.
SolvedHead head(std::span<const SlotTag> tags, double special, double punct, double frequent, double local) {
  HeadProfile profile;
  profile.recoveries[Policy::special] = special;
  profile.recoveries[Policy::special | Policy::punctuation] = punct;
  profile.recoveries[Policy::special | Policy::punctuation | Policy::frequent] = frequent;
  profile.recoveries[Policy::special | Policy::punctuation | Policy::frequent | Policy::local] = local;
  return {.profiles = {profile, profile, profile}, .tags = tags, .window = 0};
}

/// Total tokens of all heads under the solved threshold, computed with the policies.
double kept_share(std::span<const SolvedHead> heads, int32_t n, CacheConfig config, const SolvedThreshold& solved) {
  config.threshold = solved.threshold;
  double kept = 0;
  for (const SolvedHead& of : heads) {
    const Policy policy = choose_policy(of.profiles[solved.share], config);
    const double share = solved_shares[solved.share];
    const KeepRule rule = make_keep_rule(policy, n, of.window, share, share);
    int32_t always = 0, rest = 0;
    for (const SlotTag tag : of.tags) ++(rule.keeps_always(tag_position(tag), tag_class(tag)) ? always : rest);
    kept += always + std::min(rest, rule.n_by_score(always));
  }
  return kept / (static_cast<double>(heads.size()) * n);
}

}  // namespace

TEST_CASE("the largest threshold that keeps no more than the share is found") {
  const std::vector<SlotTag> tags = tags_of(100);
  CacheConfig config = find_cache_config("paper").value();
  std::vector<SolvedHead> heads;
  for (int i = 0; i < 20; ++i) heads.push_back(head(tags, 0.02 * i, 0.03 * i, 0.5 + 0.02 * i, 0.6 + 0.02 * i));
  for (const double keep : {0.2, 0.35, 0.5, 0.7, 0.9}) {
    config.keep = keep;
    const SolvedThreshold solved = solve_threshold(heads, 100, config);
    CAPTURE(keep, solved.threshold, solved.share);
    CHECK(kept_share(heads, 100, config, solved) <= keep + 1e-9);
    SolvedThreshold more = solved;
    more.threshold += 1e-9;  // the next policy of one head
    CHECK(kept_share(heads, 100, config, more) > keep);
  }
}

TEST_CASE("of the shares that reach it, the one that recovers most is taken") {
  const std::vector<SlotTag> tags = tags_of(100);
  CacheConfig config = find_cache_config("paper").value();
  config.keep = 0.75;
  SolvedHead only = head(tags, 0.1, 0.2, 0.3, 0.4);
  const uint8_t most = Policy::special | Policy::punctuation | Policy::frequent | Policy::local;
  only.profiles[1].recoveries[most] = 0.9;  // r = 0.2
  CHECK(solve_threshold(std::span(&only, 1), 100, config).share == 1);
}

TEST_CASE("a share below everything that the policies keep gives the cheapest policies") {
  const std::vector<SlotTag> tags = tags_of(100);
  CacheConfig config = find_cache_config("h2o").value();
  config.policy_set.push_back(Policy{Policy::full});
  config.keep = 0.01;
  HeadProfile profile;
  const SolvedHead only{.profiles = {profile, profile, profile}, .tags = tags, .window = 0};
  CHECK(solve_threshold(std::span(&only, 1), 100, config).threshold == 0);
}

}  // namespace headroom::threshold_test
