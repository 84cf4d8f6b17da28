// Everything around the conversation: model, engine, policies, memory, panels, zoom, theme, help, banners, recording,
// quitting.
#include <catch2/catch.hpp>
#include <filesystem>

#include "app/desktop/replay.h"
#include "tests/desktop/desk.h"
#include "tests/ui_flow/stage.h"
#include "ui/layout.h"
#include "ui/number_text.h"

using namespace headroom;
using namespace headroom::test;

namespace {

bool is_on_screen(const char* window) {
  const ImGuiWindow* found = ImGui::FindWindowByName(window);
  return found != nullptr && found->Active && !found->Hidden;
}

void say(Person& person, Desk& desk, const std::string& text) {
  person.press(Action::focus_input);
  person.type(text);
  person.press(Action::send);
  REQUIRE(person.until([&] { return desk.view().can_send && !desk.view().messages.empty(); }));
}

}  // namespace

TEST_CASE("model: opened by key, menu, button and a dropped file; cancelled, refused", "[model]") {
  Desk desk("--load-ms 2000");
  desk.options.model_path.clear();
  desk.open();
  int n_dialogs = 0;
  desk.controller->on_choose_model = [&] { ++n_dialogs; };
  Stage stage(source_of(*desk.controller));
  const auto is_loading = [&] { return desk->mirror().is_loading(); };
  stage.act([&](Person& person) {
    REQUIRE(person.until([&] { return person.reads("transcript", "No model is open"); }));
    CHECK(person.reads("heads", "Open a model"));
    CHECK(person.reads("memory", "Open a model"));
    CHECK(person.reads("status", "no model"));
    person.click("//###transcript/**/###open_model");
    person.press(Action::choose_model);
    person.choose(Action::choose_model);
    CHECK(n_dialogs == 3);

    // Three ways to cancel the loading of a model.
    const std::vector<std::function<void()>> ways = {[&] { person.press(Action::stop); },
                                                     [&] { person.click("//###transcript/**/###cancel_load"); },
                                                     [&] { person.click("//###status/###cancel_load"); }};
    for (const auto& cancel : ways) {
      desk->open_model("some.gguf");
      REQUIRE(person.until(is_loading));
      CHECK(person.reads("transcript", "The model is being loaded"));
      CHECK(person.reads("status", "pretending"));
      cancel();
      REQUIRE(person.until([&] { return !is_loading() && desk.has_banner("cancelled"); }));
      person.click("//###transcript/**/###dismiss");
      CHECK(desk.view().banners.empty());
    }
    desk->open_model("refused.gguf");
    REQUIRE(person.until([&] { return desk.has_banner("not supported"); }));
    CHECK(person.reads("transcript", "refused.gguf has the architecture 'unheard'"));
    person.press(Action::dismiss_banner);
    CHECK(desk.view().banners.empty());
    stage.drop({"good.gguf"});
    REQUIRE(person.until(is_loading));
    person.click("//###transcript/**/###draft");
    person.type("written while it loads");
    REQUIRE(person.until([&] { return desk.view().can_send; }));
    person.press(Action::send);
    REQUIRE(person.until([&] { return desk.view().messages.size() == 2; }));
  });
}

TEST_CASE("an example is kept as a draft while nothing can be sent", "[model]") {
  Desk desk("--hang-after 3");
  desk.open_and_load();
  Stage stage(source_of(*desk.controller));
  stage.act([&](Person& person) {
    person.press(Action::focus_input);
    person.type("go on");
    person.press(Action::send);
    REQUIRE(person.until([&] { return desk.has_answer_of(15); }));
    person.press(Action::new_chat);
    CHECK_FALSE(desk.view().can_send);
    person.click("//###transcript/**/$$1/###example");
    CHECK(stage.state.draft.starts_with("What is gravity?"));
  });
}

TEST_CASE("an engine that ends three times: the banner starts it again, so do the panel, the key and the menu",
          "[engine]") {
  Desk desk("--die --load-ms 400");  // slowly enough to be seen alive again
  desk.open();
  Stage stage(source_of(*desk.controller));
  stage.act([&](Person& person) {
    const auto gave_up = [&] { return desk.has_banner("ended 3 times"); };
    const std::vector<std::function<void()>> ways = {[&] { person.click("//###transcript/**/###restart"); },
                                                     [&] { person.click("//###transcript/**/###start_engine"); },
                                                     [&] { person.press(Action::restart_engine); },
                                                     [&] { person.choose(Action::restart_engine); }};
    for (const auto& restart : ways) {
      REQUIRE(person.until(gave_up));
      CHECK(person.reads("status", "engine not running"));
      CHECK(person.reads("transcript", "no engine today"));
      restart();
      CHECK_FALSE(gave_up());
    }
    REQUIRE(person.until(gave_up));
    person.choose(Action::dismiss_banner);
    CHECK(desk.view().banners.empty());
  });
}

TEST_CASE("many long banners leave the conversation its room, and Dismiss in sight", "[engine]") {
  Desk desk("--failures 30 --failure-bytes 5000");
  desk.open_and_load();
  desk.say("hello");
  REQUIRE(desk.until([&] { return desk.has_banner("trouble 29 "); }));
  Stage stage(source_of(*desk.controller));
  stage.act([&](Person& person) {
    CHECK(person.reads("transcript", "hello"));
    const ImVec2 window = ImGui::GetIO().DisplaySize;
    int n_dismissed = 0;
    for (; !desk.view().banners.empty(); ++n_dismissed) {
      const ImRect dismiss = person.place_of("//###transcript/**/###dismiss");
      REQUIRE(dismiss.Max.y < window.y * 0.6f);
      person.click("//###transcript/**/###dismiss");
    }
    CHECK(n_dismissed > 2);
    CHECK(n_dismissed <= 12);
  });
}

TEST_CASE("policies: a named set, the threshold, the order, what is in the set; applied and taken back", "[policy]") {
  Desk desk("--answer-tokens 3");
  desk.open_and_load();
  Stage stage(source_of(*desk.controller));
  stage.act([&](Person& person) {
    say(person, desk, "hello");
    person.click("//###transcript/**/###draft");
    person->WindowFocus("//###policy");
    person.frames(4);
    const std::string panel = "//###policy/**/";
    CHECK(person.reads("policy", "Threshold T"));
    for (const std::string& name : cache_config_names()) {
      person.choose("//###policy/###config", "###config_" + name);
      CHECK(person.reads("policy", name));
    }
    const auto apply = [&](const std::function<void()>& how) {
      const uint64_t before = desk->mirror().version();
      how();
      REQUIRE(person.until([&] { return desk->mirror().version() != before && desk.view().can_send; }));
    };
    person.choose("//###policy/###config", "###config_h2o");
    apply([&] { person.click(panel + "###apply_policy"); });
    CHECK(desk->mirror().config().name == "h2o");
    CHECK(desk->mirror().last_action() == "re_encoded");
    person.choose("//###policy/###config", "###config_paper");
    person.click(panel + "###revert_policy");
    person->ScrollToTop("//###policy");
    CHECK(person.reads("policy", "h2o"));
    person.choose("//###policy/###config", "###config_paper");
    apply([&] { person.press(Action::apply_policy); });
    CHECK(desk->mirror().config().name == "paper");

    // Set T by field and by slider; revert by key and by menu.
    person->ItemInput((panel + "###threshold_number").c_str());
    person->KeyCharsReplaceEnter("0.9");
    person.frames();
    apply([&] { person.choose(Action::apply_policy); });
    CHECK(desk->mirror().config().threshold == Approx(0.9));
    const ImRect slider = person.place_of(panel + "###threshold");
    person.hover(slider.GetCenter());
    person->MouseClick();
    person.frames();
    CHECK(person.reads("policy", "0.7"));
    person.press(Action::revert_policy);
    CHECK(person.reads("policy", "0.900"));
    person.click(panel + "###threshold_number/+");
    CHECK(person.reads("policy", "0.905"));
    person.click(panel + "###threshold_number/-");
    CHECK(person.reads("policy", "0.900"));
    person.click(panel + "###threshold_number/-");
    person.choose(Action::revert_policy);
    CHECK(person.reads("policy", "0.900"));

    // Change the order and the members of the set.
    const std::vector<Policy> before = desk->mirror().config().policy_set;
    person.click(panel + policy_name(before[0]) + "/###later");
    person.click(panel + policy_name(before[2]) + "/###earlier");
    person.click(panel + policy_name(before[3]) + "/###use");
    person.click(panel + "###other_policies");
    person.click(panel + "local/###use");
    person->ScrollToTop("//###policy");
    CHECK(person.reads("policy", "custom"));
    apply([&] { person.click(panel + "###apply_policy"); });
    const std::vector<Policy> after = desk->mirror().config().policy_set;
    CHECK(after.size() == before.size());
    CHECK(after[0] == before[1]);
    CHECK(std::find(after.begin(), after.end(), before[3]) == after.end());
    CHECK(std::find(after.begin(), after.end(), Policy{Policy::local}) != after.end());
  });
}

TEST_CASE("memory: over tokens and over time; its figures are those of the engine", "[memory]") {
  Desk desk("--answer-tokens 3");
  desk.open_and_load();
  Stage stage(source_of(*desk.controller));
  stage.act([&](Person& person) {
    CHECK(person.reads("memory", "Nothing is in the cache yet"));
    say(person, desk, "hello");
    CHECK(person.reads("memory", bytes_text(desk->mirror().now().kv_live_bytes)));
    person.click("//###memory/###over_time");
    const std::vector<std::string> over_time = person.reads("memory");
    person.click("//###memory/###over_tokens");
    CHECK(person.reads("memory") != over_time);  // another axis, other numbers on it
  });
}

TEST_CASE("panels: hidden and shown by key, menu and cross; brought to front by their tabs; put back", "[view]") {
  Desk desk;
  desk.open_and_load();
  Stage stage(source_of(*desk.controller));
  int n_saved = 0;
  desk.controller->on_settings_changed = [&] { ++n_saved; };
  struct Row {
    Action action;
    const char* window;
    bool UiState::*is_shown;
  };
  const Row rows[] = {{Action::toggle_chats, chats_window, &UiState::show_chats},
                      {Action::toggle_heads, heads_window, &UiState::show_heads},
                      {Action::toggle_memory, memory_window, &UiState::show_memory},
                      {Action::toggle_policy, policy_window, &UiState::show_policy}};
  stage.act([&](Person& person) {
    for (const Row& row : rows) {
      person.press(row.action);
      CHECK_FALSE(stage.state.*row.is_shown);
      CHECK_FALSE(is_on_screen(row.window));
      person.choose(row.action);
      CHECK(stage.state.*row.is_shown);
      person->WindowFocus((std::string("//") + row.window).c_str());
      person.frames(3);
      CHECK(is_on_screen(row.window));
      person->WindowClose((std::string("//") + row.window).c_str());
      person.frames();
      CHECK_FALSE(stage.state.*row.is_shown);
    }
    CHECK(n_saved == 12);
    person.press(Action::reset_layout);
    person.frames(4);
    for (const Row& row : rows) CHECK(stage.state.*row.is_shown);
    CHECK(is_on_screen(heads_window));
    person.press(Action::toggle_memory);
    person.choose(Action::reset_layout);
    person.frames(4);
    CHECK(is_on_screen(memory_window));
    // Click the tabs with the mouse.
    for (const char* window : {policy_window, heads_window, memory_window, chats_window, transcript_window}) {
      const ImGuiWindow* found = ImGui::FindWindowByName(window);
      REQUIRE(found != nullptr);
      REQUIRE(found->DockNode != nullptr);
      person.hover(found->DC.DockTabItemRect.GetCenter());
      person->MouseClick();
      person.frames(3);
      CHECK(is_on_screen(window));
    }
  });
}

TEST_CASE("zoom and theme by keys, menu and wheel", "[view]") {
  Desk desk;
  desk.open_and_load();
  Stage stage(source_of(*desk.controller));
  stage.act([&](Person& person) {
    for (const bool other : {false, true}) {
      person.press(Action::zoom_in, other);
      CHECK(stage.state.zoom == Approx(1.1));
      person.press(Action::zoom_out, other);
      CHECK(stage.state.zoom == Approx(1.0));
      person.press(Action::zoom_in, other, 3);
      person.press(Action::zoom_reset, other);
      CHECK(stage.state.zoom == 1);
    }
    person.choose(Action::zoom_in);
    CHECK(stage.state.zoom == Approx(1.1));
    person.choose(Action::zoom_out);
    CHECK(stage.state.zoom == Approx(1.0));
    person.choose(Action::zoom_out);
    person.choose(Action::zoom_reset);
    CHECK(stage.state.zoom == 1);
    const ImVec4 dark = ImGui::GetStyle().Colors[ImGuiCol_WindowBg];
    person.press(Action::toggle_theme);
    CHECK_FALSE(stage.state.dark);
    CHECK(ImGui::GetStyle().Colors[ImGuiCol_WindowBg].x > dark.x);
    person.choose(Action::toggle_theme);
    CHECK(stage.state.dark);
  });
}

TEST_CASE("help: every key is listed; opened by F1 and the menu, closed by F1, Esc and its cross", "[view]") {
  Desk desk;
  desk.open_and_load();
  Stage stage(source_of(*desk.controller), 1280, 1600);
  stage.act([&](Person& person) {
    person.press(Action::toggle_help);
    person.frames(4);
    CHECK(stage.state.show_help);
    person.frames();
    std::vector<std::string> lines;
    const ImGuiWindow* window = ImGui::FindWindowByName(help_window);
    person.hover(window->Rect().GetCenter());
    for (float y = -1; y < window->Scroll.y; person->MouseWheelY(-3), person.frames(4)) {
      y = window->Scroll.y;
      for (const std::string& line : person.reads("help")) lines.push_back(line);
    }
    for (const Shortcut& shortcut : shortcuts()) {
      INFO(shortcut.id);
      const auto has = [&](const char* part) {
        return std::any_of(lines.begin(), lines.end(),
                           [&](const std::string& line) { return line.find(part) != std::string::npos; });
      };
      CHECK(has(shortcut.keys));
      CHECK(has(shortcut.what));
    }
    person->KeyPress(ImGuiKey_Escape);
    person.frames();
    CHECK_FALSE(stage.state.show_help);
    person.choose(Action::toggle_help);
    person.frames();
    CHECK(stage.state.show_help);
    person.press(Action::toggle_help);
    CHECK_FALSE(stage.state.show_help);
    person.press(Action::toggle_help);
    person->WindowClose("//###help");
    person.frames();
    CHECK_FALSE(stage.state.show_help);
  });
}

TEST_CASE("recording: begun and ended by button, key and menu; the file can be played", "[record]") {
  Desk desk("--answer-tokens 3");
  desk.open_and_load();
  Stage stage(source_of(*desk.controller));
  stage.act([&](Person& person) {
    say(person, desk, "before");
    const std::vector<std::function<void()>> ways = {[&] { person.click("//###status/###record"); },
                                                     [&] { person.press(Action::toggle_recording); },
                                                     [&] { person.choose(Action::toggle_recording); }};
    for (const auto& toggle : ways) {
      toggle();
      CHECK(desk.view().is_recording);
      CHECK(person.reads("status", "Stop recording"));
      say(person, desk, "recorded");
      const std::string path = desk.view().recording_path;
      toggle();
      CHECK_FALSE(desk.view().is_recording);
      CHECK(person.reads("transcript", "The recording is in"));
      person.press(Action::dismiss_banner);
      Replay replay(path);
      CHECK(replay.view().messages.size() == desk.view().messages.size());
    }
  });
}

TEST_CASE("a long conversation: pages, the start, the end by keys, menus and the button", "[chat]") {
  Desk desk("--answer-tokens 400");
  desk.open_and_load();
  Stage stage(source_of(*desk.controller));
  stage.act([&](Person& person) {
    say(person, desk, "first words");
    for (int i = 0; i < 3; ++i) say(person, desk, "more");
    const auto shows_start = [&] { return person.reads("transcript", "first words"); };
    const auto shows_end = [&] { return person.reads("transcript", "word399"); };
    CHECK_FALSE(shows_start());
    person.press(Action::to_start);
    CHECK(shows_start());
    person.press(Action::to_end);
    CHECK_FALSE(shows_start());
    CHECK(shows_end());
    person.choose(Action::to_start);
    CHECK(shows_start());
    person.choose(Action::to_end);
    CHECK_FALSE(shows_start());
    person.press(Action::page_up, false, 20);
    CHECK(shows_start());
    person.press(Action::page_down);
    CHECK_FALSE(shows_start());
    person.press(Action::page_up);
    CHECK(shows_start());
    person.click("//###transcript/**/###to_end");
    CHECK(shows_end());
    CHECK_FALSE(person.sees("//###transcript/**/###to_end"));
  });
}

TEST_CASE("the window is closed by key and by menu", "[view]") {
  for (const bool by_key : {true, false}) {
    Desk desk;
    desk.open_and_load();
    Stage stage(source_of(*desk.controller));
    stage.act([&](Person& person) {
      CHECK_FALSE(desk->wants_to_quit());
      if (by_key)
        person.press(Action::quit);
      else
        person.choose(Action::quit);
      CHECK(desk->wants_to_quit());
    });
  }
}
