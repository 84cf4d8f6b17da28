// The head map: one cell per head, a different letter per policy for output without colours, correct sums.
#include "app/terminal_head_map.h"

#include <catch2/catch.hpp>

using namespace headroom;
using Catch::Matchers::Contains;

namespace {

/// Two layers of three heads over ten tokens.
CacheState small_state() {
  const std::vector<Policy> paper = find_cache_config("paper")->policy_set;
  CacheState state;
  state.n_tokens = 10;
  const int32_t kept[] = {1, 10, 8, 3, 10, 10};
  const size_t policy[] = {0, 4, 3, 1, 4, 4};
  for (int32_t i = 0; i < 6; ++i)
    state.heads.push_back({.layer = i / 3,
                           .kv_head = i % 3,
                           .recovery = {},
                           .profile = {},
                           .policy = paper[policy[i]],
                           .budget = {},
                           .kept_tokens = kept[i],
                           .pages = 1,
                           .bytes = 1024 * kept[i]});
  return state;
}

}  // namespace

TEST_CASE("policies have letters of their own") {
  CHECK(policy_letters(find_cache_config("paper")->policy_set) == "SPFLA");
  CHECK(policy_letters(find_cache_config("streaming")->policy_set) == "L");
  CHECK(policy_letters({*parse_policy("local"), *parse_policy("frequent+local"), *parse_policy("special+local"),
                        *parse_policy("first+local")}) == "Ll12");
  CHECK(policy_letters({*parse_policy("special+first"), Policy{Policy::full}}) == "IA");
}

TEST_CASE("full is possible as the fallback of a set that does not name it") {
  CacheConfig config = *find_cache_config("paper");
  config.policy_set = {*parse_policy("special"), *parse_policy("local")};
  CHECK(possible_policies(config).back() == Policy{Policy::full});
  CHECK(possible_policies(*find_cache_config("h2o")).size() == 1);
  CHECK(possible_policies(*find_cache_config("paper")).size() == 5);
}

TEST_CASE("the map without colours") {
  const std::string map = head_map_text(small_state(), *find_cache_config("paper"), false);
  CHECK(map.find('\x1b') == std::string::npos);
  CHECK_THAT(map, Contains("    0   S  A  L    63 %\n"));  // 19 of 30 tokens
  CHECK_THAT(map, Contains("    1   P  A  A    77 %\n"));  // 23 of 30
  CHECK_THAT(map, Contains(" S  special                           1 heads      1.0 KiB   kept  10 %\n"));
  CHECK_THAT(map, Contains(" F  special+punct+frequent            0 heads          0 B\n"));
  CHECK_THAT(map, Contains(" A  full                              3 heads     30.0 KiB   kept 100 %\n"));
}

TEST_CASE("with colours every cell ends its own colour") {
  const std::string map = head_map_text(small_state(), *find_cache_config("paper"), true);
  const auto count = [&](const std::string& text) {
    size_t n = 0;
    for (size_t at = map.find(text); at != std::string::npos; at = map.find(text, at + 1)) ++n;
    return n;
  };
  CHECK(count("\x1b[38;5;16;48;5;") == 6 + 5);  // cells and legend
  CHECK(count("\x1b[0m") == 6 + 5);
}

TEST_CASE("heads with a policy of an earlier configuration are shown as such") {
  const CacheConfig local = *find_cache_config("local");
  CHECK(policy_count_text(small_state(), local) == "? 6");
  CHECK_THAT(head_map_text(small_state(), local, false), Contains("another policy"));
  CHECK(policy_count_text(small_state(), *find_cache_config("paper")) == "S 1, P 1, L 1, A 3");
}

TEST_CASE("an empty cache has no map") {
  CHECK_THAT(head_map_text({}, *find_cache_config("paper"), false), Contains("no tokens"));
}
