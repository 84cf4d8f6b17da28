// The frame around the panels: layouts, menus, keys, zoom, closing and reopening panels, the status bar.
#include "ui/ui.h"

#include <imgui_internal.h>

#include <catch2/catch.hpp>

#include "tests/ui/ui_fixture.h"
#include "ui/layout.h"
#include "ui/menu_bar.h"
#include "ui/status_bar.h"

using namespace headroom;
using test::UiFixture;

namespace {

bool is_on_screen(const char* window) {
  const ImGuiWindow* found = ImGui::FindWindowByName(window);
  return found != nullptr && found->Active && !found->Hidden;
}

const char* label_of(const MenuEntry& entry) {
  return shortcut_of(entry.action).id;
}

}  // namespace

TEST_CASE("layout: what fits side by side is, the rest are tabs", "[ui]") {
  CHECK(layout_kind(240, 135) == LayoutKind::tall);  // 4K
  CHECK(layout_kind(80, 47) == LayoutKind::wide);    // 1280x800
  CHECK(layout_kind(40, 27) == LayoutKind::narrow);  // 640x480
  CHECK(layout_kind(26, 13) == LayoutKind::tabs);    // 1280x800 at zoom 3
}

TEST_CASE("ui: the heads stand beside the conversation at first, in a small window as a tab", "[ui]") {
  for (const auto& [width, height] : {std::pair{1280, 800}, std::pair{640, 480}, std::pair{3840, 2160}}) {
    UiFixture ui("", width, height);
    ui.frames(5);
    CHECK(is_on_screen(transcript_window));
    CHECK(is_on_screen(heads_window));
    CHECK(is_on_screen(policy_window) == (height > 2000));
  }
}

TEST_CASE("ui: no window leaves the picture, at any size and zoom, with and without a model", "[ui]") {
  for (const auto& [width, height] : {std::pair{640, 480}, std::pair{1280, 800}, std::pair{3840, 2160}}) {
    UiFixture ui("", width, height);
    for (const bool has_model : {false, true}) {
      if (has_model) test::SampleStream{.n_tokens = 300}.apply_to(ui.mirror);
      for (const float zoom : {0.5f, 1.0f, 3.0f}) {
        ui.state.zoom = zoom;
        ui.frames(5);
        for (const ImGuiWindow* window : ImGui::GetCurrentContext()->Windows) {
          if (!window->WasActive || window->Hidden || window->ParentWindow != nullptr) continue;
          INFO(window->Name << " at zoom " << zoom << " in " << width << "x" << height);
          CHECK(window->Pos.x >= -1);
          CHECK(window->Pos.y >= -1);
          CHECK(window->Pos.x + window->Size.x <= static_cast<float>(width) + 1);
          CHECK(window->Pos.y + window->Size.y <= static_cast<float>(height) + 1);
        }
      }
    }
  }
}

TEST_CASE("ui: each panel alone fills the picture", "[ui]") {
  for (const std::string& panel : Ui::panel_names()) {
    UiFixture ui(panel);
    test::SampleStream{.n_tokens = 300}.apply_to(ui.mirror);
    ui.frames(3);
    const ImGuiWindow* window = ImGui::FindWindowByName(("###" + panel).c_str());
    INFO(panel);
    REQUIRE(window != nullptr);
    CHECK(window->Size.x == 1280);
    CHECK(window->Size.y == 800);
  }
}

TEST_CASE("ui: a closed panel comes back by its key, all of them by a new layout", "[ui]") {
  UiFixture ui;
  ui.act([&](ImGuiTestContext& person) {
    person.KeyPress(ImGuiMod_Ctrl | ImGuiKey_3);
    person.Yield(2);
    IM_CHECK(!ui.state.show_memory);
    IM_CHECK(!is_on_screen(memory_window));
    person.KeyPress(ImGuiMod_Ctrl | ImGuiKey_3);
    person.Yield(2);
    IM_CHECK(is_on_screen(memory_window));
    person.KeyPress(ImGuiMod_Ctrl | ImGuiKey_1);
    person.KeyPress(ImGuiMod_Ctrl | ImGuiKey_2);
    person.KeyPress(ImGuiMod_Ctrl | ImGuiKey_4);
    IM_CHECK(!ui.state.show_chats && !ui.state.show_heads && !ui.state.show_policy);
    person.KeyPress(ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_0);
    person.Yield(4);
    IM_CHECK(ui.state.show_chats && ui.state.show_heads && ui.state.show_policy);
    IM_CHECK(is_on_screen(heads_window) && is_on_screen(chats_window) && is_on_screen(memory_window));
  });
  CHECK(ui.actions.count("settings_changed") >= 5);
}

TEST_CASE("ui: zoom by keys and by the wheel, within its limits", "[ui]") {
  UiFixture ui;
  ui.act([&](ImGuiTestContext& person) {
    person.KeyPress(ImGuiMod_Ctrl | ImGuiKey_Equal);
    IM_CHECK_EQ(ui.state.zoom, 1.1f);
    person.KeyPress(ImGuiMod_Ctrl | ImGuiKey_0);
    IM_CHECK_EQ(ui.state.zoom, 1.0f);
    person.MouseMoveToPos({400, 300});
    person.KeyDown(ImGuiMod_Ctrl);
    person.MouseWheelY(1);
    IM_CHECK_GT(ui.state.zoom, 1.0f);
    person.MouseWheelY(-100);
    IM_CHECK_EQ(ui.state.zoom, min_zoom);
    person.MouseWheelY(200);
    IM_CHECK_EQ(ui.state.zoom, max_zoom);
    person.KeyUp(ImGuiMod_Ctrl);
  });
  CHECK(ui.actions.count("settings_changed") >= 5);
}

TEST_CASE("ui: Esc stops what runs; with nothing running it lets the pinned head go", "[ui]") {
  UiFixture ui;
  test::SampleStream{}.apply_to(ui.mirror);
  ui.state.pinned_head = 3;
  ui.chat.is_busy = true;
  ui.act([&](ImGuiTestContext& person) {
    person.WindowFocus("//###heads");
    person.KeyPress(ImGuiKey_Escape);
    IM_CHECK_EQ(ui.actions.count("stop"), 1);
    IM_CHECK_EQ(ui.state.pinned_head, 3);
    ui.chat.is_busy = false;
    person.KeyPress(ImGuiKey_Escape);
    IM_CHECK_EQ(ui.actions.count("stop"), 1);
    IM_CHECK_EQ(ui.state.pinned_head, -1);
  });
}

TEST_CASE("ui: Esc goes to what is on top before it stops an answer", "[ui]") {
  UiFixture ui;
  ui.chat.is_busy = true;
  ui.chat.chats = {{.id = 7, .title = "old"}};
  ui.chat.open_chat = 7;
  ui.act([&](ImGuiTestContext& person) {
    person.KeyPress(ImGuiKey_F1);
    person.Yield(2);
    IM_CHECK(ui.state.show_help);
    person.KeyPress(ImGuiKey_Escape);
    person.Yield(2);
    IM_CHECK(!ui.state.show_help);
    person.KeyPress(ImGuiKey_F2);
    person.Yield(3);
    person.KeyPress(ImGuiKey_Escape);
    person.Yield(2);
    IM_CHECK_EQ(ui.actions.count("stop"), 0);
    person.KeyPress(ImGuiKey_Escape);
    IM_CHECK_EQ(ui.actions.count("stop"), 1);
  });
  CHECK(ui.actions.calls.size() == 1);
}

TEST_CASE("ui: a panel's cross closes it, its menu entry brings it back", "[ui]") {
  UiFixture ui;
  ui.act([&](ImGuiTestContext& person) {
    person.WindowClose("//###memory");
    person.Yield(2);
    IM_CHECK(!ui.state.show_memory);
    person.ItemClick("//##MainMenuBar/##MenuBar/###view");
    person.ItemClick("//$FOCUSED/###toggle_memory");
    person.Yield(2);
    IM_CHECK(ui.state.show_memory);
  });
  CHECK(ui.actions.count("settings_changed") == 2);
}

TEST_CASE("status bar: recording starts and ends by its button", "[ui]") {
  UiFixture ui;
  test::SampleStream{}.apply_to(ui.mirror);  // without a model there is nothing to record
  ui.act([&](ImGuiTestContext& person) {
    person.ItemClick("//###status/###record");
    ui.chat.is_recording = true;
    person.Yield(2);
    person.ItemClick("//###status/###record");
  });
  CHECK(ui.actions.calls == std::vector<std::string>{"start_recording", "stop_recording"});
}

TEST_CASE("status bar: loading is given up by its button", "[ui]") {
  // The first events of a stream: Hello, LoadProgress …
  UiFixture loading;
  for (const stream::EventT& event : test::SampleStream{}.events()) {
    test::apply(loading.mirror, event);
    if (loading.mirror.is_loading()) break;
  }
  REQUIRE(loading.mirror.is_loading());
  loading.act([&](ImGuiTestContext& person) { person.ItemClick("//###status/###cancel_load"); });
  CHECK(loading.actions.count("cancel_load") == 1);
}

TEST_CASE("ui: every menu entry can be chosen and does what its key does", "[ui]") {
  UiFixture ui;
  test::SampleStream{}.apply_to(ui.mirror);
  ui.chat.chats = {{.id = 1, .title = "a"}, {.id = 2, .title = "b"}, {.id = 3, .title = "c"}};
  ui.chat.open_chat = 2;
  for (const auto& [role, content] : {std::pair{"user", "Hello"}, std::pair{"assistant", "Hi"}}) {
    TranscriptMessage& message = ui.chat.messages.emplace_back();
    message.role = role;
    message.content = content;
  }
  ui.chat.banners = {{.text = "A chat was deleted.", .offers_undo = true}};
  ui.state.pinned_head = 1;
  ui.act([&](ImGuiTestContext& person) {
    for (const Menu& menu : menus()) {
      for (const MenuEntry& entry : menu.entries) {
        // Set up what this entry needs to be enabled.
        const bool in_replay =
            std::string(label_of(entry)).starts_with("replay_") || entry.action == Action::close_replay;
        ui.chat.replay.reset();
        if (in_replay)
          ui.chat.replay = ReplayView{.path = "a.trace", .moment = 1, .n_moments = 3, .has_chat_behind = true};
        ui.chat.n_droppable_turns = 1;
        ui.chat.messages.back().role = entry.action == Action::take_back ? "user" : "assistant";
        ui.chat.is_busy = entry.action == Action::stop;
        person.Yield(2);
        const std::string id = std::string(menu.label).substr(std::string(menu.label).find("###"));
        person.ItemClick(("//##MainMenuBar/##MenuBar/" + id).c_str());
        const std::string item = std::string("//$FOCUSED/###") + label_of(entry);
        const ImGuiTestItemInfo info = person.ItemInfo(item.c_str());
        if ((info.ItemFlags & ImGuiItemFlags_Disabled) != 0) person.LogError("%s is disabled", label_of(entry));
        person.ItemClick(item.c_str());
        person.Yield(2);
        if (entry.action == Action::toggle_help) {
          IM_CHECK(ui.state.show_help);
          ui.state.show_help = false;
        }
        person.PopupCloseAll();
      }
    }
  });
  for (const char* call :
       {"choose_model", "restart_engine", "start_recording", "quit", "new_chat", "open_chat 3", "open_chat 1",
        "delete_chat 2", "undo_delete", "stop", "regenerate", "take_back_message", "drop_oldest_turns", "close_replay",
        "set_clipboard Hi", "dismiss_banner", "replay_play_or_pause", "replay_seek 0", "replay_seek 2"}) {
    INFO(call);
    CHECK(ui.actions.count(call) >= 1);
  }
  CHECK(ui.state.show_tokens);
  CHECK_FALSE(ui.state.dark);
  CHECK(ui.state.head_map_mode == HeadMapMode::kept_share);
  CHECK(ui.state.pinned_head == -1);
}

TEST_CASE("ui: a renamed chat by key, from a hidden list", "[ui]") {
  UiFixture ui;
  ui.chat.chats = {{.id = 7, .title = "old"}};
  ui.chat.open_chat = 7;
  ui.state.show_chats = false;
  ui.act([&](ImGuiTestContext& person) {
    person.KeyPress(ImGuiKey_F2);
    person.Yield(4);
    person.KeyCharsReplaceEnter("new");
  });
  CHECK(ui.state.show_chats);
  CHECK(ui.actions.count("rename_chat 7 new") == 1);
}

TEST_CASE("status bar: what does not fit goes, the least important first", "[ui]") {
  UiFixture ui;
  test::SampleStream{}.apply_to(ui.mirror);
  ui.frames(3);
  int n_before = 100;
  for (const float width : {1200.0f, 500.0f, 100.0f}) {
    StatusBarState bar;
    ImGui::NewFrame();
    ImGui::SetNextWindowSize({width, 60});
    ImGui::Begin("bar");
    draw_status_bar(ui.mirror, ui.chat, ui.state, ui.actions, bar);
    ImGui::End();
    ImGui::EndFrame();
    CHECK(bar.n_shown >= 1);
    CHECK(bar.n_shown < n_before);
    n_before = bar.n_shown;
  }
}

TEST_CASE("status bar: speed of the answer under way, else of the last one", "[ui]") {
  Mirror mirror;
  CHECK(generate_speed(mirror) == 0);
  test::SampleStream{}.apply_to(mirror);
  CHECK(generate_speed(mirror) == mirror.last_turn()->generate_tokens_per_s);
  Mirror answering;
  test::SampleStream{.end = test::SampleEnd::answering}.apply_to(answering);
  CHECK(generate_speed(answering) > 0);
}
