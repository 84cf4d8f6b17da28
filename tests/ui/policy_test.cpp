// The policy panel: Apply requests exactly what was set, and a disabled Apply says why.
#include <catch2/catch.hpp>

#include "tests/ui/ui_fixture.h"
#include "ui/calibrate_dialog.h"
#include "ui/policy_panel.h"

using namespace headroom;
using test::UiFixture;

namespace {

constexpr const char* apply = "//###policy/###apply_policy";
constexpr const char* revert = "//###policy/###revert_policy";

bool is_disabled(ImGuiTestContext& person, const char* item) {
  return (person.ItemInfo(item).ItemFlags & ImGuiItemFlags_Disabled) != 0;
}

std::string line_of(const char* policy, const char* part) {
  return std::string("//###policy/") + policy + "/" + part;
}

}  // namespace

TEST_CASE("policy panel: a named configuration is applied with the shares that the cache has", "[policy]") {
  UiFixture ui("policy");
  test::SampleStream{}.apply_to(ui.mirror);
  ui.act([&](ImGuiTestContext& person) {
    IM_CHECK(is_disabled(person, apply));
    person.ItemClick("//###policy/###config");
    person.ItemClick("//$FOCUSED/###config_h2o");
    person.Yield(2);
    IM_CHECK(!is_disabled(person, apply));
    person.ItemClick(apply);
  });
  REQUIRE(ui.actions.configs.size() == 1);
  CHECK(ui.actions.configs[0].name == "h2o");
  CHECK(ui.actions.configs[0].policy_set == find_cache_config("h2o")->policy_set);
  CHECK(ui.actions.configs[0].r_local == ui.mirror.config().r_local);
  CHECK(ui.actions.configs[0].threshold == ui.mirror.config().threshold);
}

TEST_CASE("policy panel: the threshold by its field, the slider, and back", "[policy]") {
  UiFixture ui("policy");
  test::SampleStream{}.apply_to(ui.mirror);
  ui.act([&](ImGuiTestContext& person) {
    person.ItemInputValue("//###policy/###threshold_number", 0.8f);
    person.ItemClick(apply);
    person.ItemInputValue("//###policy/###threshold_number", 17.0f);
    person.ItemClick(apply);
    person.ItemClick("//###policy/###threshold");  // its middle
    person.ItemClick(apply);
    person.ItemClick(revert);
    person.Yield(2);
    IM_CHECK(is_disabled(person, apply));
    IM_CHECK(is_disabled(person, revert));
  });
  REQUIRE(ui.actions.configs.size() == 3);
  CHECK(ui.actions.configs[0].threshold == Approx(0.8));
  CHECK(ui.actions.configs[1].threshold == 1);
  CHECK(ui.actions.configs[2].threshold == Approx(0.75).margin(0.02));
}

TEST_CASE("policy panel: policies leave the set, come back and change places", "[policy]") {
  UiFixture ui("policy");
  test::SampleStream{}.apply_to(ui.mirror);
  ui.act([&](ImGuiTestContext& person) {
    person.ItemUncheck(line_of("special+punct", "###use").c_str());
    person.ItemClick(line_of("special", "###later").c_str());
    person.ItemClick(apply);
    person.ItemClick("//###policy/###other_policies");
    person.ItemCheck("//###policy/###other_policies/local/###use");
    person.ItemClick(line_of("local", "###earlier").c_str());
    person.ItemClick(apply);
  });
  REQUIRE(ui.actions.configs.size() == 2);
  const auto named = [](const CacheConfig& config) {
    std::string names;
    for (const Policy policy : config.policy_set) names += policy_name(policy) + " ";
    return names;
  };
  CHECK(named(ui.actions.configs[0]) == "special+punct+frequent special special+punct+frequent+local full ");
  CHECK(named(ui.actions.configs[1]) == "special+punct+frequent special local special+punct+frequent+local full ");
  CHECK(ui.actions.configs[1].name == "custom");
}

TEST_CASE("policy panel: Apply waits while the engine is busy, gone, or a recording is shown", "[policy]") {
  UiFixture ui("policy");
  test::SampleStream{}.apply_to(ui.mirror);
  const auto check = [&](bool expected) {
    ui.act([&](ImGuiTestContext& person) { IM_CHECK_EQ(is_disabled(person, apply), expected); });
  };
  ui.act([&](ImGuiTestContext& person) { person.ItemInputValue("//###policy/###threshold_number", 0.8f); });
  check(false);
  ui.chat.is_busy = true;
  check(true);
  ui.chat.is_busy = false;
  ui.chat.engine_is_running = false;
  check(true);
  ui.chat.engine_is_running = true;
  ui.chat.replay = ReplayView{};
  check(true);
  ui.chat.replay.reset();
  check(false);
}

TEST_CASE("policy panel: keys apply and revert too", "[policy]") {
  UiFixture ui("policy");
  test::SampleStream{}.apply_to(ui.mirror);
  ui.act([&](ImGuiTestContext& person) {
    person.ItemInputValue("//###policy/###threshold_number", 0.8f);
    person.KeyPress(ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_P);
    person.KeyPress(ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_V);
    person.Yield(2);
    IM_CHECK(is_disabled(person, revert));
    person.KeyPress(ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_P);
  });
  CHECK(ui.actions.configs.size() == 1);
}

TEST_CASE("policy panel: budgets by slider, field and bytes; the cache type; what Apply asks for", "[policy]") {
  UiFixture ui("policy");
  test::SampleStream{.config = *find_cache_config("headroom")}.apply_to(ui.mirror);
  REQUIRE_FALSE(ui.mirror.config().head_importance.empty());
  ui.act([&](ImGuiTestContext& person) {
    IM_CHECK(is_disabled(person, apply));
    IM_CHECK(!person.ItemExists("//###policy/###threshold"));
    person.ItemInputValue("//###policy/###keep_number", 30.0f);
    person.ItemClick(apply);
    person.ItemClick("//###policy/###keep");  // its middle
    person.ItemInputValue("//###policy/###kv_budget", 2.5f);
    person.ItemClick("//###policy/###cache_q8_0");
    person.ItemClick(apply);
    person.ItemInputValue("//###policy/###keep_number", 500.0f);
    person.ItemInputValue("//###policy/###kv_budget", -1.0f);
    person.ItemClick("//###policy/###cache_f16");
    person.ItemClick(apply);
    person.ItemClick(revert);
    person.Yield(2);
    IM_CHECK(is_disabled(person, apply));
  });
  REQUIRE(ui.actions.configs.size() == 3);
  CHECK(ui.actions.configs[0].name == "headroom");
  CHECK(ui.actions.configs[0].keep == Approx(0.3));
  CHECK(ui.actions.configs[0].head_importance == ui.mirror.config().head_importance);
  CHECK(ui.actions.configs[0].beta == ui.mirror.config().beta);
  CHECK(ui.actions.configs[1].keep == Approx(0.55).margin(0.02));
  CHECK(ui.actions.configs[1].kv_budget_bytes == 5 << 19);
  CHECK(ui.actions.configs[1].cache_type == CacheType::q8_0);
  CHECK(ui.actions.configs[2].keep == 1);
  CHECK(ui.actions.configs[2].kv_budget_bytes == 0);
}

TEST_CASE("policy panel: a share instead of T, for a set of several policies", "[policy]") {
  UiFixture ui("policy");
  test::SampleStream{}.apply_to(ui.mirror);
  ui.act([&](ImGuiTestContext& person) {
    person.ItemCheck("//###policy/###solve_keep");
    person.ItemInputValue("//###policy/###keep_number", 40.0f);
    IM_CHECK(!person.ItemExists("//###policy/###threshold"));
    person.ItemClick(apply);
    person.ItemUncheck("//###policy/###solve_keep");
    person.Yield(2);
    IM_CHECK(is_disabled(person, apply));
  });
  REQUIRE(ui.actions.configs.size() == 1);
  CHECK(ui.actions.configs[0].keep == Approx(0.4));
  CHECK(ui.actions.configs[0].budget == BudgetKind::fixed);
  CHECK(ui.actions.configs[0].name == "paper");
}

TEST_CASE("a named draft takes all of a configuration where budgets differ, and the set alone where both are fixed",
          "[policy]") {
  CacheConfig paper = *find_cache_config("paper");
  paper.r_local = 0.1;
  paper.threshold = 0.8;
  paper.cache_type = CacheType::q8_0;
  const CacheConfig h2o = named_draft("h2o", paper, paper);
  CHECK(h2o.policy_set == find_cache_config("h2o")->policy_set);
  CHECK(h2o.r_local == 0.1);

  CacheConfig with_table = *find_cache_config("headroom");
  with_table.head_importance = {0.5f, 1.5f};
  with_table.beta = 0.5;
  with_table.score = TokenScore::expected;
  for (const std::string& name : cache_config_names()) {
    INFO(name);
    const CacheConfig named = *find_cache_config(name), next = named_draft(name, paper, paper);
    CHECK(next.budget == named.budget);
    CHECK(next.score == named.score);
    CHECK(next.importance == named.importance);
    CHECK(next.policy_set == named.policy_set);
    CHECK(next.keep == named.keep);
    CHECK(next.cache_type == CacheType::q8_0);
    CHECK(next.head_importance.empty());
    // Among names with the same set the first one wins.
    CHECK(find_cache_config(config_name_of(next))->policy_set == named.policy_set);
    if (named.budget != BudgetKind::fixed) CHECK(config_name_of(next) == name);
  }
  // The share that was set is kept. Only `headroom` gets the table, and only if the cache has it.
  CacheConfig uniform = named_draft("uniform", with_table, with_table);
  CHECK(uniform.head_importance.empty());
  CHECK(uniform.score == TokenScore::accumulated);
  uniform.keep = 0.2;
  const CacheConfig back = named_draft("headroom", uniform, with_table);
  CHECK(back.keep == 0.2);
  CHECK(back.head_importance == with_table.head_importance);
  CHECK(back.beta == 0.5);
  CHECK(back.score == TokenScore::expected);
  CHECK(named_draft("paper", uniform, with_table).keep == 0);
}

TEST_CASE("what the engine adds to a configuration is no change of a person's", "[policy]") {
  CacheConfig headroom = *find_cache_config("headroom"), with_table = headroom;
  with_table.head_importance = {1};
  with_table.beta = 0.7;
  with_table.score = TokenScore::expected;
  CHECK(same_config(headroom, with_table));
  with_table.keep = 0.4;
  CHECK_FALSE(same_config(headroom, with_table));
  CacheConfig paper = *find_cache_config("paper"), solved = paper;
  paper.keep = solved.keep = 0.5;
  solved.threshold = 0.8;
  solved.r_local = solved.r_frequent = 0.2;
  CHECK(same_config(paper, solved));
  paper.keep = solved.keep = 0;
  CHECK_FALSE(same_config(paper, solved));
  CHECK_FALSE(same_config(*find_cache_config("uniform"), *find_cache_config("uniform-expected")));
}

TEST_CASE("a path in the command of a calibration is quoted as a shell takes it", "[policy]") {
  CHECK(calibrate_command("/models/a-b_1.gguf") == "headroom calibrate -m /models/a-b_1.gguf");
  CHECK(calibrate_command("/my models/it's.gguf") == "headroom calibrate -m '/my models/it'\\''s.gguf'");
  CHECK(calibrate_command("") == "headroom calibrate -m ''");
}

TEST_CASE("policy panel: where the engine asks for a calibration, the command is shown and copied", "[policy]") {
  UiFixture ui("policy");
  test::SampleStream{.config = *find_cache_config("headroom"), .has_table = false}.apply_to(ui.mirror);
  ui.act([&](ImGuiTestContext& person) {
    person.ItemClick("//###policy/###calibrate");
    person.ItemClick("//###calibrate_window/###copy_command");
    person.ItemClick("//###calibrate_window/###close_calibrate");
    person.Yield(2);
    IM_CHECK(!person.ItemExists("//###calibrate_window/###copy_command"));
    person.ItemClick("//###policy/###calibrate");
    person.KeyPress(ImGuiKey_Escape);
    person.Yield(2);
    IM_CHECK(!person.ItemExists("//###calibrate_window/###copy_command"));
  });
  CHECK(ui.actions.count("set_clipboard headroom calibrate -m " + ui.mirror.model()->path) == 1);
}

TEST_CASE("policy panel: with a table of importance no calibration is asked for", "[policy]") {
  UiFixture ui("policy");
  test::SampleStream{.config = *find_cache_config("headroom")}.apply_to(ui.mirror);
  ui.act([&](ImGuiTestContext& person) { IM_CHECK(!person.ItemExists("//###policy/###calibrate")); });
}

TEST_CASE("what-if trust: budgets need no measurement, but scores and tables decide who gets them", "[policy]") {
  Mirror mirror;
  test::SampleStream{.n_turns = 1}.apply_to(mirror);
  const auto trust = [&](const char* name) { return what_if_trust(mirror, *find_cache_config(name)); };
  CHECK(trust("uniform").is_exact);
  CHECK(trust("adakv").is_known);
  CHECK_FALSE(trust("adakv").is_exact);
  CHECK(trust("headroom").is_known);
  CHECK_FALSE(trust("headroom").is_exact);  // there is no table
  CacheConfig headroom = *find_cache_config("headroom");
  headroom.head_importance.assign(12, 1.0f);
  CHECK(what_if_trust(mirror, headroom).is_exact);
  CacheConfig solved = *find_cache_config("paper");
  solved.keep = 0.5;
  CHECK(what_if_trust(mirror, solved).is_known);
  CHECK_FALSE(what_if_trust(mirror, solved).is_exact);
  Mirror budgets;
  test::SampleStream{.config = headroom}.apply_to(budgets);
  CHECK_FALSE(what_if_trust(budgets, *find_cache_config("paper")).is_known);
}

TEST_CASE("what-if: the cache's own budgets right after a prompt give the cache as it is", "[policy][what_if]") {
  for (const int64_t bound : {0, 300'000}) {
    CacheConfig config = *find_cache_config("headroom");
    config.kv_budget_bytes = bound;
    Mirror mirror;
    for (const stream::EventT& event : test::SampleStream{.n_turns = 1, .config = config}.events()) {
      test::apply(mirror, event);
      if (mirror.n_cached() > 0) break;
    }
    const WhatIf then = what_if(*mirror.model(), mirror.tokens().first(static_cast<size_t>(mirror.n_cached())),
                                mirror.heads(), mirror.config());
    REQUIRE(then.refusal.empty());
    for (size_t head = 0; head < mirror.heads().size(); ++head)
      CHECK(then.kept_tokens[head] == mirror.heads()[head].kept_tokens);
    CHECK(then.kv_live_bytes == mirror.now().kv_live_bytes);
    CHECK(then.kept.share() == kept_total(mirror).share());
  }
}

TEST_CASE("what-if trust: exact after one prefill, an estimate with an answer, unknown with other shares", "[policy]") {
  Mirror mirror;
  CHECK_FALSE(what_if_trust(mirror, mirror.config()).is_known);
  test::SampleStream{.n_turns = 1}.apply_to(mirror);
  const WhatIfTrust answered = what_if_trust(mirror, mirror.config());
  CHECK(answered.is_known);
  CHECK_FALSE(answered.is_exact);
  CacheConfig other = mirror.config();
  other.r_local = 0.1;
  CHECK_FALSE(what_if_trust(mirror, other).is_known);
}

TEST_CASE("what-if: the cache's own configuration right after a prompt gives the cache as it is", "[policy][what_if]") {
  Mirror mirror;
  // The state of the stream after the first prefill.
  for (const stream::EventT& event : test::SampleStream{.n_turns = 1}.events()) {
    test::apply(mirror, event);
    if (mirror.n_cached() > 0) break;
  }
  REQUIRE(mirror.n_cached() > 0);
  CHECK(what_if_trust(mirror, mirror.config()).is_exact);
  const WhatIf then = what_if(*mirror.model(), mirror.tokens().first(static_cast<size_t>(mirror.n_cached())),
                              mirror.heads(), mirror.config());
  for (size_t head = 0; head < mirror.heads().size(); ++head) {
    CHECK(then.policies[head] == mirror.heads()[head].policy);
    CHECK(then.kept_tokens[head] == mirror.heads()[head].kept_tokens);
  }
  CHECK(then.kv_live_bytes == mirror.now().kv_live_bytes);
}
