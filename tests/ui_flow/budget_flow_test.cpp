// Configurations with budgets in the window: how the head map, the card and the panels show them, and all their knobs
// in the policy panel.
#include <catch2/catch.hpp>
#include <filesystem>

#include "app/desktop/replay.h"
#include "engine/base/budget.h"
#include "tests/desktop/desk.h"
#include "tests/support/sample_stream.h"
#include "tests/ui_flow/stage.h"
#include "ui/number_text.h"
#include "ui/theme.h"
#include "ui/what_if.h"

using namespace headroom;
using namespace headroom::test;

namespace {

/// A recording of 30 layers of 3 KV heads under a configuration, in a folder of its own.
struct Recorded {
  explicit Recorded(const char* config, bool has_table = true)
      : folder(std::filesystem::temp_directory_path() /
               ("headroom-budget-flow-" + std::to_string(reinterpret_cast<uintptr_t>(this)))) {
    std::filesystem::create_directories(folder);
    SampleStream{
        .n_layers = 30, .n_tokens = 600, .n_turns = 1, .config = *find_cache_config(config), .has_table = has_table}
        .write_trace((folder / "budgets.hrtrace").string());
  }
  ~Recorded() { std::filesystem::remove_all(folder); }
  std::string path() const { return (folder / "budgets.hrtrace").string(); }
  std::filesystem::path folder;
};

ImVec2 middle_of(Person& person, const Mirror& mirror, int32_t head) {
  const ImRect map = person.place_of("//###heads/**/###cells");
  const int32_t columns = mirror.model()->n_kv_heads, rows = mirror.model()->n_layers;
  return {map.Min.x + map.GetWidth() * (static_cast<float>(head % columns) + 0.5f) / static_cast<float>(columns),
          map.Min.y + map.GetHeight() * (static_cast<float>(head / columns) + 0.5f) / static_cast<float>(rows)};
}

/// All lines of a panel as one text, because sentences may be wrapped anywhere.
std::string text_of(Person& person, const std::string& panel) {
  std::string text;
  for (const std::string& line : person.reads(panel)) text += (text.empty() ? "" : " ") + line;
  return text;
}

}  // namespace

TEST_CASE("budgets in the head map: shares on a printed scale, the sum in the legend, importance on a log scale",
          "[budgets]") {
  Recorded recorded("headroom");
  Replay replay(recorded.path());
  Stage stage(source_of(replay));
  const Mirror& mirror = replay.mirror();
  REQUIRE(mirror.heads()[0].budget.tokens > 0);
  stage.act([&](Person& person) {
    const PolicyTotal total = policy_totals(*mirror.model(), mirror.heads(), mirror.config())[0];
    CHECK(person.reads("heads", "90 heads | " + bytes_text(total.bytes)));
    CHECK(person.reads("heads", "tokens kept, of those in reach"));
    CHECK(person.reads("heads", "0 % | 100 %"));
    CHECK(text_of(person, "heads").find("All heads keep " + percent_text(kept_total(mirror).share())) !=
          std::string::npos);
    // Each cell has the colour of its share.
    const ImRect map = person.place_of("//###heads/**/###cells");
    for (const int32_t head : {0, 44, 89}) {
      const float share = static_cast<float>(mirror.heads()[static_cast<size_t>(head)].kept_tokens) /
                          static_cast<float>(mirror.n_cached());
      const ImVec2 at = middle_of(person, mirror, head);
      const ImRect cell(at.x - map.GetWidth() / 6 - 1, at.y - map.GetHeight() / 60 - 1, at.x + map.GetWidth() / 6 + 1,
                        at.y + map.GetHeight() / 60 + 1);
      CHECK(stage.colors_in(cell).contains(scale_color(share)));
    }
    person.choose("//###heads/###map_mode", "###mode_recovery");
    CHECK_FALSE(person.sees("//###heads/###map_policy"));
    CHECK(person.reads("heads", "share of a head's score"));
    person.choose("//###heads/###map_mode", "###mode_importance");
    CHECK(stage.state.head_map_mode == HeadMapMode::importance);
    CHECK(person.reads("heads", "importance c_h of a head, mean 1, log scale"));
    const auto& all = mirror.config().head_importance;
    CHECK(person.reads("heads", factor_text(*std::min_element(all.begin(), all.end())) + " | "));
    CHECK(person.reads("heads", factor_text(*std::max_element(all.begin(), all.end()))));
    CHECK(person.reads("memory", percent_text(kept_total(mirror).share())));
  });
}

TEST_CASE("importance: where a configuration has none a sentence says so", "[budgets]") {
  for (const auto& [config, has_table] : {std::pair{"paper", true}, std::pair{"headroom", false}}) {
    Recorded recorded(config, has_table);
    Replay replay(recorded.path());
    Stage stage(source_of(replay));
    stage.state.head_map_mode = HeadMapMode::importance;
    stage.act([&](Person& person) {
      // Only the configuration headroom uses a calibration table.
      CHECK(text_of(person, "heads")
                .find(std::string(config) == "headroom"
                          ? "All heads count alike; a calibration would tell them apart."
                          : "All heads count alike in this configuration") != std::string::npos);
    });
  }
}

TEST_CASE("the card of a head with a budget: budget, importance with its rank, protection, order, share of the score",
          "[budgets]") {
  Recorded recorded("headroom");
  Replay replay(recorded.path());
  Stage stage(source_of(replay));
  const Mirror& mirror = replay.mirror();
  const auto& all = mirror.config().head_importance;
  const auto most = static_cast<int32_t>(std::max_element(all.begin(), all.end()) - all.begin());
  const auto least = static_cast<int32_t>(std::min_element(all.begin(), all.end()) - all.begin());
  stage.act([&](Person& person) {
    for (const auto& [head, rank] : {std::pair{most, "rank 1 of 90"}, std::pair{least, "rank 90 of 90"}}) {
      person.hover(middle_of(person, mirror, head));
      const std::string card = text_of(person, "explanation");
      INFO(card);
      const MirrorHead& it = mirror.heads()[static_cast<size_t>(head)];
      const auto says = [&](const std::string& part) { return card.find(part) != std::string::npos; };
      const int32_t now = it.budget.at(mirror.n_cached());
      CHECK(says("budget " + count_text(now, "token", "tokens") + " (" +
                 percent_text(static_cast<double>(now) / mirror.n_cached()) + "), grows with the conversation"));
      CHECK(says("importance " + factor_text(all[static_cast<size_t>(head)]) + ", " + rank));
      CHECK(says("protected: control tokens and position 0; the first 4 tokens; the last 32 tokens of a prompt"));
      CHECK(says("which are attention received from all rows"));
      CHECK(says("Share of the head's score that its kept tokens hold"));
      CHECK(says(share_text(it.profile.recovery(it.policy))));
      CHECK_FALSE(says("threshold"));
    }
  });
}

TEST_CASE("policy panel with budgets: share, bytes, cache type, what they would do, applied by the engine",
          "[budgets]") {
  Desk desk("--answer-tokens 3");
  desk.open_and_load();
  desk.say("A question of a few words, so that there is something to share between the heads");
  // The panel alone, high enough to show everything without scrolling.
  Stage stage(source_of(*desk.controller), 800, 1400, 1, Rasterize::no, "policy");
  stage.act([&](Person& person) {
    const std::string panel = "//###policy/**/";
    const auto enter = [&](const char* field, const char* number) {
      person->ItemInput((panel + field).c_str());
      person->KeyCharsReplaceEnter(number);
      person.frames();
    };
    const auto apply = [&] {
      const uint64_t before = desk->mirror().version();
      person.click(panel + "###apply_policy");
      REQUIRE(person.until([&] { return desk->mirror().version() != before && desk.view().can_send; }));
    };
    // A share for the paper's policies.
    person.click(panel + "###solve_keep");
    CHECK(text_of(person, "policy").find("comes nearest to the share") != std::string::npos);
    enter("###keep_number", "40");
    apply();
    CHECK(desk->mirror().config().keep == Approx(0.4));
    CHECK(desk->mirror().config().budget == BudgetKind::fixed);
    // Settings that are in use have no outlook.
    CHECK(text_of(person, "policy").find("These settings are in use.") != std::string::npos);
    CHECK(text_of(person, "policy").find("Live KV now") == std::string::npos);
    person.click(panel + "###solve_keep");
    CHECK(person.reads("policy", "Threshold T"));

    // With budgets the numbers are those of the engine's own function.
    person.choose("//###policy/###config", "###config_uniform");
    CHECK(person.reads("policy", "Kept share of the tokens"));
    enter("###keep_number", "90");
    const Mirror& mirror = desk->mirror();
    CacheConfig uniform = *find_cache_config("uniform");
    uniform.keep = 0.9;
    const auto n = static_cast<int32_t>(mirror.n_cached());
    int32_t n_protected = 0;
    const KeepRule rule = make_budget_rule(uniform.policy_set[0], {}, n, 0, n_last_of_prompt);
    for (int32_t position = 0; position < n; ++position)
      n_protected += rule.keeps_always(position, mirror.tokens()[static_cast<size_t>(position)].token_class);
    int64_t n_kept = 0;
    for (const int32_t tokens : shared_budgets(uniform, 0.9, std::vector<HeadCapacity>(4, {n, n_protected})))
      n_kept += tokens;
    CHECK(text_of(person, "policy").find(": " + count_text(n_kept) + " of " + count_text(4 * n)) != std::string::npos);
    CHECK(text_of(person, "policy").find("Exact: budgets follow") != std::string::npos);
    person.click(panel + "###keep");  // its middle
    CHECK(person.reads("policy", "55 %"));
    person.click(panel + "###keep_number/+");
    person.click(panel + "###keep_number/-");
    enter("###kv_budget", "0.001");
    CHECK(text_of(person, "policy").find("This is not possible: the KV budget is 1049 bytes") != std::string::npos);
    enter("###kv_budget", "3");
    person.click(panel + "###kv_budget/+");
    person.click(panel + "###kv_budget/-");
    person.click(panel + "###cache_q8_0");
    apply();
    CHECK(mirror.config().name == "uniform");
    CHECK(mirror.config().cache_type == CacheType::q8_0);
    CHECK(mirror.config().kv_budget_bytes == 3 << 20);
    CHECK(mirror.heads()[2].budget.tokens >= 0);
    person.click(panel + "###cache_f16");
    person.choose("//###policy/###config", "###config_adakv");
    CHECK(text_of(person, "policy").find("depends on the scores") != std::string::npos);
    CHECK_FALSE(person.sees(panel + "###kv_budget"));

    // The engine asks for a calibration, and the panel shows how to make one.
    person.choose("//###policy/###config", "###config_headroom");
    CHECK(text_of(person, "policy").find("all heads count alike") != std::string::npos);
    apply();
    CHECK(text_of(person, "policy").find("nobody calibrated this") != std::string::npos);
    std::string copied;
    desk.controller->on_set_clipboard = [&](const std::string& text) { copied = text; };
    person.click(panel + "###calibrate");
    person.frames(3);
    CHECK(text_of(person, "calibrate_window").find("headroom calibrate -m ") != std::string::npos);
    person.click("//###calibrate_window/###copy_command");
    CHECK(copied == "headroom calibrate -m " + mirror.model()->path);
    person.click("//###calibrate_window/###close_calibrate");
    CHECK_FALSE(person.sees("//###calibrate_window/###copy_command"));
  });
}
