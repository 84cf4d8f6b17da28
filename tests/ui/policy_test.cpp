// The policy panel: what is set is what Apply asks for, and nothing else; why it cannot be pressed.
#include <catch2/catch.hpp>

#include "tests/ui/ui_fixture.h"
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
  // As the stream stands when the first prompt has been read.
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
