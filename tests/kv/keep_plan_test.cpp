// The planner by hand: what is measured, which keys a head keeps, budgets, a bound in bytes, a solved threshold, and a
// forecast that equals the later plan.
#include "engine/kv/keep_plan.h"

#include <catch2/catch.hpp>
#include <numeric>
#include <random>

#include "engine/base/error.h"

namespace headroom::keep_plan_test {
namespace {

constexpr int64_t page_bytes = 1000;

ModelShape shape_of(std::vector<int32_t> windows, int32_t n_kv_heads, int32_t n_group = 1) {
  return {.n_kv_heads = n_kv_heads, .n_group = n_group, .windows = std::move(windows), .page_bytes = page_bytes};
}

/// Positions 0 … n - 1; the first is special, every tenth from the fifth on is punctuation.
std::vector<SlotTag> tags_of(int32_t n) {
  std::vector<SlotTag> tags;
  for (int32_t i = 0; i < n; ++i)
    tags.push_back(make_tag(i, i == 0        ? TokenClass::special
                               : i % 10 == 5 ? TokenClass::punctuation
                                             : TokenClass::plain));
  return tags;
}

CacheConfig named(const char* name, double keep = 0) {
  const CacheConfig config = *find_cache_config(name);
  return keep > 0 ? with_keep(config, keep) : config;
}

/// All measures of a prefill, filled with numbers from a generator: windowed and recent parts of each key's mass.
PrefillMeasurements random_measurements(const ModelShape& shape, int32_t n_tokens, uint32_t seed) {
  std::mt19937 rng(seed);
  std::uniform_real_distribution<float> number(0, 1);
  PrefillMeasurements measured{.tags = tags_of(n_tokens), .layers = {}};
  const int32_t n_heads = shape.n_kv_heads * shape.n_group;
  for (int32_t layer = 0; layer < shape.n_layers(); ++layer) {
    LayerMeasurements& of = measured.layers.emplace_back();
    of.measures = all_measures();
    of.stride = n_tokens;
    for (int32_t i = 0; i < n_heads * n_tokens; ++i) {
      of.attention_mass.push_back(number(rng));
      of.recent_mass.push_back(of.attention_mass.back() * number(rng));
      of.expected_scores_raw.push_back(number(rng));
    }
    for (int32_t w = 0; w < of.measures.n_windows; ++w)
      for (const float mass : of.attention_mass) of.windowed_mass.push_back(mass * number(rng));
    for (int32_t i = 0; i < shape.n_kv_heads * n_tokens; ++i) of.value_norms.push_back(1 + number(rng));
  }
  return measured;
}

std::vector<int32_t> tokens_of(const std::vector<HeadBudget>& budgets) {
  std::vector<int32_t> tokens;
  for (const HeadBudget& budget : budgets) tokens.push_back(budget.tokens);
  return tokens;
}

}  // namespace

TEST_CASE("a prefill measures only what its configuration asks for", "[keep_plan]") {
  const std::vector<SlotTag> many = tags_of(64), few = tags_of(63);
  const PrefillStage first{.n_before = 0, .new_tags = few}, later{.n_before = 100, .new_tags = many},
      short_turn{.n_before = 100, .new_tags = few},
      generation{.n_before = 100, .new_tags = many, .rows = PrefillRows::generation_prompt};
  CHECK_FALSE(needed_measures(named("full"), first).any());

  const PrefillMeasures paper = needed_measures(named("paper"), first);
  CHECK(paper.attention_mass);
  CHECK(paper.n_windows == 1);
  CHECK(paper.window_shares[0] == 0.3);
  CHECK_FALSE(paper.expected);
  // The threshold is solved once, in the first prefill, and each share is tried.
  CHECK(needed_measures(named("paper", 0.5), first).n_windows == 3);
  CHECK(needed_measures(named("paper", 0.5), later).n_windows == 1);

  CHECK(needed_measures(named("snapkv"), first).recent_mass);
  CHECK(needed_measures(named("snapkv"), later).recent_mass);
  for (const PrefillStage& says_little : {short_turn, generation}) {
    CHECK_FALSE(needed_measures(named("snapkv"), says_little).recent_mass);
    CHECK(needed_measures(named("snapkv"), says_little).attention_mass);
  }
  CHECK(needed_measures(named("uniform-expected"), first).expected);
}

TEST_CASE("scores of slots and new tokens grow by the attention received; of equal ones the earlier stays",
          "[keep_plan]") {
  CacheConfig config = named("h2o");
  config.policy_set = {Policy{Policy::frequent}};
  config.r_frequent = 0.4;
  // The head holds positions 0 and 2 of three tokens. Another head of the layer holds all three, hence the padding.
  const std::vector<SlotTag> held{make_tag(0, TokenClass::special), make_tag(2, TokenClass::plain)};
  const std::vector<float> scores{5, 1};
  const std::vector<SlotTag> added{make_tag(3, TokenClass::plain), make_tag(4, TokenClass::plain)};
  const HeadChoice choice{.policy = {Policy::frequent}, .profile = {}, .budget = {}};
  const LayerMeasurements measured{
      .measures = {.attention_mass = true, .n_windows = 1, .window_shares = {config.r_local}},
      .stride = 5,
      .n_held_keys = 3,
      .attention_mass = {1, 2, 99, 3, 0.5f},
      .windowed_mass = {0, 0, 99, 3, 0.5f},
      .recent_mass = {},
      .expected_scores_raw = {},
      .value_norms = {}};
  const HeadContents head{.tags = held, .scores = scores, .choice = &choice};
  const std::vector<HeadPlan> plans =
      plan_layer(shape_of({0}, 1), config, {.n_before = 3, .new_tags = added}, 0, measured, {&head, 1});
  REQUIRE(plans.size() == 1);
  // Scores 6, 3, 3 and 0.5; ceil(0.4 * 5) = 2 stay.
  CHECK(plans[0].kept == std::vector<int32_t>{0, 1});
  CHECK(plans[0].tags == held);
  CHECK(plans[0].scores == std::vector<float>{6, 3});
}

TEST_CASE("shared budgets add up to the share, and grow with the conversation", "[keep_plan]") {
  const std::vector<SlotTag> tags = tags_of(200);
  const CacheConfig config = named("uniform", 0.5);
  const ModelShape shape = shape_of({0, 101}, 2);  // the window reaches 100 tokens
  const std::vector<HeadBudget> budgets = plan_budgets(shape, config, {.n_before = 0, .new_tags = tags}, {}, 32);
  CHECK(tokens_of(budgets) == std::vector<int32_t>{100, 100, 50, 50});
  CHECK(budgets[0].of_tokens == 200);
  CHECK(budgets[2].of_tokens == 100);
  CHECK(budgets[0].at(400) == 200);
}

TEST_CASE("what is protected is kept even if it is more than the share; the budget grows by the share", "[keep_plan]") {
  // 40 tokens: the first 4 and the last 32 are protected, a quarter is 10.
  const std::vector<SlotTag> tags = tags_of(40);
  const CacheConfig config = named("uniform", 0.25);
  const ModelShape shape = shape_of({0}, 1);
  const std::vector<HeadBudget> budgets = plan_budgets(shape, config, {.n_before = 0, .new_tags = tags}, {}, 32);
  CHECK(tokens_of(budgets) == std::vector<int32_t>{10});
  CHECK(forecast_keep(shape, config, tags, {}).kept_tokens == std::vector<int32_t>{36});
}

TEST_CASE("a bound in bytes is kept, and budgets under it are frozen", "[keep_plan]") {
  const std::vector<SlotTag> tags = tags_of(200);
  CacheConfig config = named("uniform", 1);
  config.kv_budget_bytes = 16 * page_bytes;
  const ModelShape shape = shape_of({0}, 2);
  const std::vector<HeadBudget> budgets = plan_budgets(shape, config, {.n_before = 0, .new_tags = tags}, {}, 64);
  // Eight pages per head, one slot of them free for the next token.
  CHECK(tokens_of(budgets) == std::vector<int32_t>{127, 127});
  CHECK_FALSE(budgets[0].grows);
  config.kv_budget_bytes = 3 * page_bytes;  // the first 4 and the last 16 tokens need two pages per head
  CHECK_THROWS_AS(forecast_keep(shape, config, tags, {}), Error);
}

TEST_CASE("while tokens are generated, the bound in bytes makes protected tokens give way", "[keep_plan]") {
  CacheConfig config = named("uniform", 0.5);
  config.kv_budget_bytes = 2 * page_bytes;
  const ModelShape shape = shape_of({0}, 1);
  const std::vector<SlotTag> tags = tags_of(63);
  HeadChoice choice{.policy = config.policy_set.front(), .profile = {}, .budget = {.tokens = 10, .of_tokens = 20}};
  ByteBound bound;
  const auto budgets_at = [&](int32_t n_tokens) {
    const HeadContents head{
        .tags = std::span(tags).first(static_cast<size_t>(n_tokens)), .scores = {}, .choice = &choice};
    return bound.budgets_for(shape, config, n_tokens, make_tag(n_tokens, TokenClass::plain), {&head, 1});
  };
  CHECK_FALSE(budgets_at(20).has_value());  // 21 tokens are protected: two pages
  bound.forget();
  const auto budgets = budgets_at(63);  // 64 are: five pages
  REQUIRE(budgets.has_value());
  // Two pages hold 31 tokens and the next one: the first 4 and the last 27.
  CHECK((*budgets)[0].tokens == 31);
  CHECK((*budgets)[0].protection.n_last == 27);
  CHECK_FALSE((*budgets)[0].grows);
}

TEST_CASE("the threshold is solved for over all heads together", "[keep_plan]") {
  const std::vector<SlotTag> tags = tags_of(10);
  const std::vector<float> scores(10);
  CacheConfig config = named("paper");
  config.policy_set = {Policy{Policy::special}, Policy{Policy::full}};
  config.keep = 0.55;
  const ModelShape shape = shape_of({0}, 2);
  HeadProfile lives_on_special, looks_at_all;
  lives_on_special.recoveries[Policy::special] = 0.9;
  looks_at_all.recoveries[Policy::special] = 0.2;
  const std::vector<std::vector<HeadProfile>> by_share{{lives_on_special, lives_on_special, lives_on_special},
                                                       {looks_at_all, looks_at_all, looks_at_all}};
  const HeadChoice whole;
  const std::vector<HeadContents> heads(2, {.tags = tags, .scores = scores, .choice = &whole});
  const SolvedPlan solved = solve_for_keep(shape, config, 10, heads, by_share);
  // 11 of 20 tokens may stay: one of the first head and all ten of the second.
  CHECK(solved.config.threshold == 0.9);
  CHECK(solved.choices[0].policy == Policy{Policy::special});
  CHECK(solved.choices[1].policy == Policy{Policy::full});
  CHECK(plan_held(shape, solved.config, 0, 10, {tags, scores, &solved.choices[0]}).kept == std::vector<int32_t>{0});
  CHECK(plan_held(shape, solved.config, 1, 10, {tags, scores, &solved.choices[1]}).kept.size() == 10);
}

TEST_CASE("a plan from stored measurements is that of a prefill, layer by layer", "[keep_plan]") {
  const ModelShape shape = shape_of({0, 40}, 2, 3);
  const PrefillMeasurements measured = random_measurements(shape, 150, 1);
  const PrefillStage prefill{.n_before = 0, .new_tags = measured.tags};
  for (const char* name : {"paper", "h2o", "snapkv", "adakv", "uniform-expected", "streaming"}) {
    CAPTURE(name);
    const CacheConfig config = named(name);
    const PrefillPlan plan = plan_prefill(shape, config, measured);
    REQUIRE(plan.heads.size() == 4);
    std::vector<HeadChoice> choices(4);
    if (config.budget == BudgetKind::shared)
      for (size_t h = 0; h < 4; ++h) choices[h].budget = plan_budgets(shape, config, prefill, {}, n_last_of_prompt)[h];
    for (int32_t layer = 0; layer < 2; ++layer) {
      std::vector<HeadContents> heads(2);
      for (size_t h = 0; h < 2; ++h) heads[h].choice = &choices[static_cast<size_t>(2 * layer) + h];
      const auto plans = plan_layer(shape, config, prefill, layer, measured.layers[static_cast<size_t>(layer)], heads);
      for (size_t h = 0; h < 2; ++h) {
        const HeadPlan& of = plan.heads[static_cast<size_t>(2 * layer) + h];
        CHECK(of.kept == plans[h].kept);
        CHECK(of.scores == plans[h].scores);
        CHECK(of.choice.policy == plans[h].choice.policy);
      }
    }
  }
}

TEST_CASE("a forecast is what the plan then does", "[keep_plan]") {
  const ModelShape shape = shape_of({0, 40, 0}, 2, 2);
  for (const int32_t n_tokens : {1, 30, 150, 400}) {
    const PrefillMeasurements measured = random_measurements(shape, n_tokens, static_cast<uint32_t>(n_tokens));
    for (const std::string& name : cache_config_names()) {
      for (const double keep : {0.0, 0.35, 0.8}) {
        CacheConfig config = *find_cache_config(name);
        if (keep > 0 && (!takes_keep(config) || solves_threshold(with_keep(config, keep)))) continue;
        if (keep > 0) config = with_keep(config, keep);
        if (config.budget == BudgetKind::pooled) continue;  // an even share is forecast
        if (config.budget == BudgetKind::shared && keep == 0.8) config.kv_budget_bytes = 40 * page_bytes;
        CAPTURE(n_tokens, name, keep);
        const PrefillPlan plan = plan_prefill(shape, config, measured);
        std::vector<HeadProfile> profiles;
        for (const HeadPlan& head : plan.heads) profiles.push_back(head.choice.profile);
        const KeepForecast forecast = forecast_keep(shape, config, measured.tags, profiles);
        for (size_t h = 0; h < plan.heads.size(); ++h) {
          CHECK(forecast.policies[h] == plan.heads[h].choice.policy);
          CHECK(forecast.kept_tokens[h] == static_cast<int32_t>(plan.heads[h].kept.size()));
        }
      }
    }
  }
}

TEST_CASE("under a solved threshold the heads keep no more than the share, as near as their policies come",
          "[keep_plan]") {
  const ModelShape shape = shape_of({0, 0, 0}, 4, 2);
  const PrefillMeasurements measured = random_measurements(shape, 200, 5);
  for (const double keep : {0.4, 0.6, 0.8}) {
    const PrefillPlan plan = plan_prefill(shape, named("paper", keep), measured);
    size_t n_kept = 0;
    for (const HeadPlan& head : plan.heads) {
      n_kept += head.kept.size();
      CHECK(head.by_share.empty());
      CHECK(head.tags.size() == head.kept.size());
      CHECK(choose_policy(head.choice.profile, plan.config) == head.choice.policy);
    }
    CHECK(n_kept <= static_cast<size_t>(keep * 12 * 200));
    CHECK(plan.config.threshold > 0);
  }
}

}  // namespace headroom::keep_plan_test
