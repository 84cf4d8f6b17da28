// Budgets of heads: shares by importance, a byte bound, a pool of scores.
#include "engine/base/budget.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <random>

#include "engine/base/error.h"

namespace headroom::budget_test {
namespace {

CacheConfig shared_config(std::vector<float> importance = {}, double beta = 0) {
  CacheConfig config = find_cache_config("headroom").value();
  config.head_importance = std::move(importance);
  config.beta = beta;
  return config;
}

int64_t sum(const std::vector<int32_t>& budgets) {
  return std::accumulate(budgets.begin(), budgets.end(), int64_t{0});
}

}  // namespace

TEST_CASE("heads that count alike share evenly") {
  const std::vector<HeadCapacity> rooms(4, {1000, 40});
  CHECK(shared_budgets(shared_config(), 0.5, rooms) == std::vector<int32_t>(4, 500));
  CHECK(shared_budgets(shared_config({1, 1, 1, 1}, 0.8), 0.25, rooms) == std::vector<int32_t>(4, 250));
  CHECK(shared_budgets(shared_config(), 1, rooms) == std::vector<int32_t>(4, 1000));
}

TEST_CASE("two heads by hand: e times as important at beta 1 is one more in the logarithm of the odds") {
  // sigmoid(x + 1/2) + sigmoid(x - 1/2) = 1 for x = 0: 622.5 and 377.5 of 1000 tokens.
  const float root = std::exp(0.5f);
  const std::vector<int32_t> budgets =
      shared_budgets(shared_config({root, 1 / root}, 1), 0.5, std::vector<HeadCapacity>(2, {1000, 40}));
  CHECK(sum(budgets) == 1000);
  CHECK(budgets[0] == Approx(622.46).margin(1));
  CHECK(budgets[1] == Approx(377.54).margin(1));
}

TEST_CASE("no head falls below its part of the share, or what is protected, or above what there is") {
  const std::vector<HeadCapacity> rooms{{1000, 40}, {1000, 40}, {1000, 40}, {1000, 700}};
  const std::vector<int32_t> budgets = shared_budgets(shared_config({100, 1e-6f, 1, 1e-6f}, 2), 0.5, rooms);
  CHECK(budgets[0] <= 1000);
  CHECK(budgets[1] == 200);  // 0.4 of 0.5
  CHECK(budgets[3] == 700);
  CHECK(sum(budgets) == 2000);
}

TEST_CASE("where what is protected is more than the share, every head has that") {
  CHECK(shared_budgets(shared_config(), 0.25, std::vector<HeadCapacity>(3, {100, 60})) == std::vector<int32_t>(3, 60));
  CHECK(shared_budgets(shared_config(), 0.25, std::vector<HeadCapacity>(3, {20, 20})) == std::vector<int32_t>(3, 20));
}

TEST_CASE("any importance: the total is the share to a token, and a smaller share is a cut in every head") {
  std::mt19937 random(5);
  std::lognormal_distribution<float> importance(0, 2);
  for (int round = 0; round < 40; ++round) {
    std::vector<float> values;
    std::vector<HeadCapacity> rooms;
    int64_t n_all = 0;
    for (int h = 0; h < 90; ++h) {
      values.push_back(importance(random));
      rooms.push_back({round % 3 == 0 && h % 6 != 0 ? 511 : 600 + round * 50, 37});
      n_all += rooms.back().n_reach;
    }
    const CacheConfig config = shared_config(values, 0.3 * (round % 5));
    std::vector<int32_t> before;
    for (const double keep : {0.9, 0.5, 0.35, 0.25}) {
      const std::vector<int32_t> budgets = shared_budgets(config, keep, rooms);
      CHECK(sum(budgets) == std::llround(keep * static_cast<double>(n_all)));
      for (size_t h = 0; h < before.size(); ++h) CHECK(budgets[h] <= before[h] + 1);  // up to the rounding of one
      before = budgets;
    }
  }
}

TEST_CASE("bytes count the pages with room for one more token") {
  CHECK(budget_bytes(std::vector<int32_t>{0}, 100) == 100);
  CHECK(budget_bytes(std::vector<int32_t>{15, 16, 17}, 100) == 500);
}

TEST_CASE("a bound in bytes gives the largest share that fits") {
  CacheConfig config = shared_config();
  const std::vector<HeadCapacity> rooms(4, {1000, 80});
  config.kv_budget_bytes = 1'000'000;
  CHECK(shared_budgets_in_bytes(config, 0.5, rooms, 100) == std::vector<int32_t>(4, 500));
  config.kv_budget_bytes = 4 * 20 * 100;  // 20 pages per head: 319 tokens and one more
  const std::vector<int32_t> budgets = shared_budgets_in_bytes(config, 1, rooms, 100);
  CHECK(budget_bytes(budgets, 100) <= config.kv_budget_bytes);
  CHECK(sum(budgets) >= 4 * 318);
}

TEST_CASE("bytes that do not hold what is protected are refused with what is needed") {
  CacheConfig config = shared_config();
  config.kv_budget_bytes = 1000;
  try {
    shared_budgets_in_bytes(config, 1, std::vector<HeadCapacity>(4, {1000, 80}), 100);
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::out_of_memory);  // during an answer it ends the turn
    CHECK(std::string(error.what()).find("1000") != std::string::npos);
    CHECK(std::string(error.what()).find("2400") != std::string::npos);  // 4 heads x 6 pages
  }
}

TEST_CASE("where a bound in bytes does not hold what is protected, the oldest control tokens give way, then the tail") {
  // 4 first tokens, the last 64, and control tokens at 10, 20, … 60: 74 tokens are protected.
  const std::vector<HeadClaims> heads(2, {.n_reach = 200, .n_first = 4, .by_class = {10, 20, 30, 40, 50, 60}});
  const auto pages_a_head = [&](int64_t n) { return protection_in_bytes(heads, 2 * n * 100, 100); };
  CHECK(pages_a_head(5) == Protection{.class_from = 0, .n_last = 64});   // 79 tokens and one more
  CHECK(pages_a_head(4) == Protection{.class_from = 61, .n_last = 59});  // 63: all of them and 5 of the last
  CHECK(pages_a_head(3) == Protection{.class_from = 61, .n_last = 43});
  CHECK(pages_a_head(2) == Protection{.class_from = 61, .n_last = 27});
  CHECK(pages_a_head(1) == Protection{.class_from = 61, .n_last = 16});  // below the minimum, which stays protected

  std::vector<HeadClaims> more(2, {.n_reach = 200, .n_first = 4, .by_class = {}});
  for (int32_t position = 10; position < 100; position += 7) more[0].by_class.push_back(position);  // 13 of them
  CHECK(protection_in_bytes(more, 10 * 100, 100) == Protection{.class_from = 18, .n_last = 64});  // 81 in a head: 2 go
  CHECK(more[0].n_protected({.class_from = 18, .n_last = 64}) == 79);
  CHECK(more[0].n_protected({.class_from = 0, .n_last = 16}) == 33);
  more[0].n_reach = 30;
  CHECK(more[0].n_protected({}) == 30);
}

TEST_CASE("the least bound in bytes holds the first four and the last sixteen tokens, and one more") {
  CHECK(least_budget_bytes(std::vector<int32_t>{0, 0, 0}, 2, 100) == 3 * 2 * 2 * 100);
  CHECK(least_budget_bytes(std::vector<int32_t>{0, 12, 17}, 2, 100) == 2 * (2 + 1 + 2) * 100);  // within reach: 11, 16
  CacheConfig config = shared_config();
  config.kv_budget_bytes = 1199;
  CHECK_THROWS_AS(check_budget_bytes(config, 1200), Error);
  config.kv_budget_bytes = 1200;
  CHECK_NOTHROW(check_budget_bytes(config, 1200));
}

TEST_CASE("a pool goes to the best scores of a layer, whichever head they are in") {
  // 10 tokens per head, 2 of them protected; 10 of 20 are kept, at least 1 per head.
  const std::vector<HeadCapacity> rooms(2, {10, 2});
  const std::vector<std::vector<float>> scores{{9, 8, 7, 6, 5, 4, 0, 0}, {3, 2, 1, 0, 0, 0, 0, 0}};
  CHECK(pooled_budgets(0.5, rooms, scores) == std::vector<int32_t>{8, 2});
  const std::vector<std::vector<float>> mixed{{9, 8, 1, 0, 0, 0, 0, 0}, {7, 6, 5, 4, 0, 0, 0, 0}};
  CHECK(pooled_budgets(0.5, rooms, mixed) == std::vector<int32_t>{4, 6});
}

TEST_CASE("a budget grows with the columns within reach, or stays") {
  CHECK(HeadBudget{.tokens = 50, .of_tokens = 100, .grows = true}.at(200) == 100);
  CHECK(HeadBudget{.tokens = 50, .of_tokens = 100, .grows = true}.at(101) == 51);
  CHECK(HeadBudget{.tokens = 50, .of_tokens = 100, .grows = false}.at(200) == 50);
  CHECK(HeadBudget{}.at(200) == -1);
}

}  // namespace headroom::budget_test
