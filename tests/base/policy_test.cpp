// Policies and configurations: parsing and printing names, and the rules and budgets that follow from them.
#include "engine/base/policy.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <set>

#include "engine/base/error.h"
#include "engine/base/model_config.h"
#include "engine/base/page_layout.h"

namespace headroom {
namespace {

std::vector<std::string> names_of(const std::vector<Policy>& policies) {
  std::vector<std::string> names;
  for (const Policy policy : policies) names.push_back(policy_name(policy));
  return names;
}

TEST_CASE("a policy is named by its parts, in one order") {
  CHECK(policy_name({Policy::special}) == "special");
  CHECK(policy_name({Policy::local | Policy::frequent | Policy::punctuation | Policy::special}) ==
        "special+punct+frequent+local");
  CHECK(policy_name({Policy::local | Policy::first}) == "first+local");
  CHECK(policy_name({Policy::full}) == "full");
}

TEST_CASE("every policy is read back from its name") {
  for (unsigned parts = 1; parts < 32; ++parts) {
    const Policy policy{static_cast<uint8_t>(parts)};
    CAPTURE(policy_name(policy));
    CHECK(parse_policy(policy_name(policy)) == policy);
  }
  CHECK(parse_policy("full") == Policy{Policy::full});
  CHECK(parse_policy("local+special") == Policy{Policy::local | Policy::special});
}

TEST_CASE("a name that is no policy gives nothing") {
  for (const char* name : {"", "+", "special+", "+special", "special++punct", "special+special", "Special", "specia",
                           "special punct", " special", "full+local", "local+full", "everything"}) {
    CAPTURE(name);
    CHECK(!parse_policy(name).has_value());
  }
}

TEST_CASE("the paper's set is its five policies, cheapest first") {
  const CacheConfig config = find_cache_config("paper").value();
  CHECK(names_of(config.policy_set) == std::vector<std::string>{"special", "special+punct", "special+punct+frequent",
                                                                "special+punct+frequent+local", "full"});
  CHECK(config.r_local == 0.3);
  CHECK(config.r_frequent == 0.3);
  CHECK(config.threshold == 0.95);
  CHECK(config.group == GroupReduce::min);
}

TEST_CASE("baselines are one policy, ablations leave a part out or take another order") {
  const auto set_of = [](const char* name) { return names_of(find_cache_config(name).value().policy_set); };
  CHECK(set_of("local") == std::vector<std::string>{"local"});
  CHECK(set_of("streaming") == std::vector<std::string>{"first+local"});
  CHECK(set_of("h2o") == std::vector<std::string>{"frequent+local"});
  CHECK(set_of("full") == std::vector<std::string>{"full"});
  CHECK(set_of("paper-punct-last") == std::vector<std::string>{"special", "special+frequent", "special+frequent+local",
                                                               "special+punct+frequent+local", "full"});
  const std::pair<const char*, uint8_t> left_out[] = {{"paper-no-special", Policy::special},
                                                      {"paper-no-punct", Policy::punctuation},
                                                      {"paper-no-frequent", Policy::frequent},
                                                      {"paper-no-local", Policy::local}};
  for (const auto& [name, part] : left_out) {
    CAPTURE(name);
    const std::vector<Policy> set = find_cache_config(name).value().policy_set;
    CHECK(set.size() > 2);
    for (const Policy policy : set) CHECK(!policy.has(part));
  }
}

TEST_CASE("every configuration is found by its name and holds valid policies") {
  std::set<std::string> names;
  for (const std::string& name : cache_config_names()) {
    CAPTURE(name);
    CHECK(names.insert(name).second);
    const CacheConfig config = find_cache_config(name).value();
    CHECK(config.name == name);
    CHECK(!config.policy_set.empty());
    for (const Policy policy : config.policy_set) CHECK(parse_policy(policy_name(policy)) == policy);
    CHECK((config.policy_set.size() == 1 || config.policy_set.back() == Policy{Policy::full}));
  }
  CHECK(!find_cache_config("").has_value());
  CHECK(!find_cache_config("Paper").has_value());
}

TEST_CASE("budgets are shares of the tokens, rounded up") {
  // 10 tokens: w = ceil(3.0) = 3, so positions 7, 8, 9 are local; ceil(3.0) = 3 frequent.
  const KeepRule ten = make_keep_rule({Policy::local}, 10, 0, 0.3, 0.3);
  CHECK(ten.policy == Policy{Policy::local});
  CHECK(ten.reach_from == 0);
  CHECK(ten.local_from == 7);
  CHECK(ten.n_frequent == 3);
  // 11 tokens: ceil(3.3) = 4 local, ceil(1.1) = 2 frequent.
  const KeepRule eleven = make_keep_rule({}, 11, 0, 0.3, 0.1);
  CHECK(eleven.local_from == 7);
  CHECK(eleven.n_frequent == 2);
  // At least one token is local; a share of 0 gives no frequent token.
  const KeepRule least = make_keep_rule({}, 5, 0, 0.0, 0.0);
  CHECK(least.local_from == 4);
  CHECK(least.n_frequent == 0);
  const KeepRule one = make_keep_rule({}, 1, 0, 0.3, 0.3);
  CHECK(one.local_from == 0);
  CHECK(one.n_frequent == 1);
}

TEST_CASE("in a sliding window, budgets are shares of what the next token reaches") {
  // The token at position 20 sees j with 20 - j < 8: itself and 13 … 19, so 7 columns: ceil(2.1) = 3.
  const KeepRule rule = make_keep_rule({}, 20, 8, 0.3, 0.3);
  CHECK(rule.reach_from == 13);
  CHECK(rule.local_from == 17);
  CHECK(rule.n_frequent == 3);
  // A window that is not full yet changes nothing.
  const KeepRule early = make_keep_rule({}, 7, 8, 0.3, 0.3);
  CHECK(early.reach_from == 0);
  CHECK(early.local_from == 4);
  // A window of one token reaches no held token.
  CHECK(make_keep_rule({}, 7, 1, 0.3, 0.3).reach_from == 7);
}

TEST_CASE("what a rule keeps without a look at the score") {
  const auto keeps = [](uint8_t parts, int32_t position, TokenClass token_class) {
    return KeepRule{.policy = {parts}, .reach_from = 0, .local_from = 90, .n_frequent = 9}.keeps_always(position,
                                                                                                        token_class);
  };
  CHECK(keeps(Policy::special, 50, TokenClass::special));
  CHECK(!keeps(Policy::special, 50, TokenClass::punctuation));
  CHECK(!keeps(Policy::special, 0, TokenClass::plain));  // position 0 is special by its tag, not by its place
  CHECK(keeps(Policy::punctuation, 50, TokenClass::punctuation));
  CHECK(!keeps(Policy::punctuation, 50, TokenClass::special));
  CHECK(keeps(Policy::first, 3, TokenClass::plain));
  CHECK(!keeps(Policy::first, 4, TokenClass::plain));
  CHECK(keeps(Policy::local, 90, TokenClass::plain));
  CHECK(!keeps(Policy::local, 89, TokenClass::special));
  CHECK(!keeps(Policy::frequent, 95, TokenClass::special));
  CHECK(keeps(Policy::full, 50, TokenClass::plain));
}

TEST_CASE("a tag holds a position and a class") {
  for (const TokenClass token_class : {TokenClass::plain, TokenClass::special, TokenClass::punctuation})
    for (const int32_t position : {0, 1, 4711, max_position}) {
      const SlotTag tag = make_tag(position, token_class);
      CHECK(tag_position(tag) == position);
      CHECK(tag_class(tag) == token_class);
    }
}

TEST_CASE("full_kv_bytes counts K and V in f16, and only what a window can hold") {
  ModelConfig config;
  config.n_kv_heads = 3;
  config.head_dim = 64;
  config.layers = {{.window = 0}, {.window = 512}};
  // 100 tokens: 2 layers * 100 * 3 heads * 64 values * 2 (K, V) * 2 bytes
  CHECK(full_kv_bytes(config, 100) == 2 * 100 * 3 * 64 * 4);
  // 1000 tokens: the next one reaches 1000 in the first layer, 511 in the second.
  CHECK(full_kv_bytes(config, 1000) == (1000 + 511) * 3 * 64 * 4);
}

TEST_CASE("a number of a configuration that is out of its range is refused by its name") {
  const auto refusal = [](auto change) -> std::string {
    CacheConfig config = *find_cache_config("uniform");
    change(config);
    try {
      check_ranges(config);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const double nan = std::nan("");
  for (const std::string& name : cache_config_names()) CHECK_NOTHROW(check_ranges(*find_cache_config(name)));
  CHECK(refusal([](CacheConfig& c) { c.r_local = 1.5; }) == "r_local is 1.500000; expected 0 to 1");
  CHECK(refusal([&](CacheConfig& c) { c.r_frequent = nan; }) == "r_frequent is nan; expected 0 to 1");
  CHECK(refusal([](CacheConfig& c) { c.threshold = 2; }).empty());
  CHECK(refusal([](CacheConfig& c) { c.threshold = 2.5; }) == "the threshold is 2.500000; expected 0 to 2");
  CHECK(refusal([](CacheConfig& c) { c.keep = 0; }) == "keep is 0; expected above 0 and at most 1 with budgets");
  CHECK(refusal([](CacheConfig& c) { c.keep = 0, c.budget = BudgetKind::fixed; }).empty());
  CHECK(refusal([](CacheConfig& c) { c.kv_budget_bytes = -1; }).starts_with("kv_budget_bytes is -1"));
  CHECK(refusal([](CacheConfig& c) { c.beta = -1; }).starts_with("beta is -1"));
  CHECK(refusal([](CacheConfig& c) { c.head_importance = {1, -1}; }).starts_with("a head's importance is -1"));
}

TEST_CASE("a page holds K, V, tags and scores of 16 slots") {
  const PageLayout layout{64};
  CHECK(layout.v_offset() == 16 * 128);
  CHECK(layout.tags_offset() == 2 * 16 * 128);
  CHECK(layout.scores_offset() == 2 * 16 * 128 + 64);
  CHECK(layout.page_bytes() == 4224);
  CHECK(layout.pages_per_slab() == 496);  // 2097152 / 4224 = 496.48…
  CHECK(layout.slot_bytes() == 264);
}

}  // namespace
}  // namespace headroom
