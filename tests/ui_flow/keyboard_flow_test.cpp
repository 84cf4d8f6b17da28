// No typed text is lost: wherever the mouse was last, the message field has the keyboard, unless it is used elsewhere.
#include <catch2/catch.hpp>

#include "tests/desktop/desk.h"
#include "tests/ui_flow/stage.h"
#include "ui/layout.h"

using namespace headroom;
using namespace headroom::test;

namespace keyboard_flow_test {
namespace {

constexpr const char* draft = "//###transcript/**/###draft";
constexpr const char* cells = "//###heads/**/###cells";

}  // namespace

TEST_CASE("after anything that is done with mouse or keys, what is typed is in the message field", "[keyboard]") {
  Desk desk("--answer-tokens 3");
  desk.open_and_load();
  Stage stage(source_of(*desk.controller));
  const auto idle = [&] { return desk.view().can_send; };
  stage.act([&](Person& person) {
    const auto types = [&](const char* after) {
      INFO(after);
      person.frames(3);
      const std::string before = stage.state.draft;
      person.type("typed");
      CHECK(stage.state.draft == before + "typed");
      person.type(" on ");
      CHECK(stage.state.draft == before + "typed on ");
    };
    types("the start");
    person.press(Action::send);
    REQUIRE(person.until([&] { return idle() && desk.view().messages.size() == 2; }));
    types("an answer");

    person.hover(person.place_of(cells).GetCenter());
    person->MouseClick();
    person.frames(3);
    REQUIRE(stage.state.pinned_head >= 0);
    const int32_t pinned = stage.state.pinned_head;
    person->KeyPress(ImGuiKey_UpArrow);
    person.frames(2);
    CHECK(stage.state.pinned_head != pinned);  // arrow keys go to the map, words do not
    types("pinning a head");
    person.click("//###heads/**/###unpin");
    types("unpinning");

    person.click("//###chats/###new_chat");
    REQUIRE(person.until(idle));
    types("New chat");
    person.press(Action::send);
    REQUIRE(person.until([&] { return idle() && desk.view().messages.size() == 2; }));
    person.click("//###chats/**/chat_" + std::to_string(desk.view().chats.back().id) + "/###row");
    REQUIRE(person.until(idle));
    types("choosing a chat");

    const std::vector<std::pair<const char*, std::function<void()>>> ways = {
        {"the help",
         [&] {
           person.press(Action::toggle_help);
           person.press(Action::toggle_help);
         }},
        {"a menu", [&] { person.choose(Action::toggle_theme); }},
        {"new chat by key", [&] { person.press(Action::new_chat); }},
        {"next chat", [&] { person.press(Action::next_chat); }},
        {"regenerate",
         [&] {
           person.press(Action::regenerate);
           REQUIRE(person.until(idle));
         }},
        {"another model",
         [&] {
           desk->open_model("b.gguf");
           REQUIRE(person.until(idle));
         }},
        {"restart",
         [&] {
           person.press(Action::restart_engine);
           REQUIRE(person.until(idle));
         }},
        {"zoom",
         [&] {
           person.press(Action::zoom_in);
           person.press(Action::zoom_reset);
         }},
        {"tokens",
         [&] {
           person.press(Action::toggle_tokens);
           person.press(Action::toggle_tokens);
         }},
        {"memory",
         [&] {
           person.click("//###memory/###over_time");
           person.click("//###memory/###over_tokens");
         }},
        {"a copy", [&] { person.click("//###transcript/**/###copy"); }},
        {"deleting and undoing",
         [&] {
           person.press(Action::delete_chat);
           person.click("//###transcript/**/###undo");
         }},
        {"a click on nothing",
         [&] {
           person.hover(ImGui::FindWindowByName(chats_window)->Rect().GetCenter());
           person->MouseClick();
         }},
        {"an opened list that was left",
         [&] {
           person->WindowFocus("//###policy");
           person.click("//###policy/###config");
           person->KeyPress(ImGuiKey_Escape);
         }},
    };
    for (const auto& [after, act] : ways) {
      act();
      types(after);
    }
  });
}

TEST_CASE("who types elsewhere is not disturbed: a title, a number, the walk by Tab", "[keyboard]") {
  Desk desk("--answer-tokens 3");
  desk.open_and_load();
  Stage stage(source_of(*desk.controller));
  stage.act([&](Person& person) {
    person.type("hello");
    person.press(Action::send);
    REQUIRE(person.until([&] { return desk.view().can_send && desk.view().messages.size() == 2; }));
    person.press(Action::rename_chat);
    person.frames(6);
    person->KeyCharsReplaceEnter("a title");
    person.frames(4);
    CHECK(desk.view().chats[0].title == "a title");
    CHECK(stage.state.draft.empty());
    person->WindowFocus("//###policy");
    person->ItemInput("//###policy/**/###threshold_number");
    person.frames(6);
    person->KeyCharsReplaceEnter("0.9");
    person.frames(4);
    CHECK(person.reads("policy", "0.900"));
    CHECK(stage.state.draft.empty());
    person.type("and words");
    CHECK(stage.state.draft == "and words");
    // Backspace and paste without a caret, too.
    person->WindowFocus("//###memory");
    person.frames(4);
    person->KeyPress(ImGuiKey_Backspace);
    person.frames(4);
    CHECK(stage.state.draft == "and word");
    person->WindowFocus("//###memory");
    person.frames(4);
    ImGui::SetClipboardText(" pasted");
    person->KeyPress(ImGuiMod_Ctrl | ImGuiKey_V);
    person.frames(4);
    CHECK(stage.state.draft == "and word pasted");
    person.type("!");
    CHECK(stage.state.draft == "and word pasted!");
  });
}

TEST_CASE("in a small window the conversation comes to the front when somebody types", "[keyboard]") {
  Desk desk("--answer-tokens 3");
  desk.open_and_load();
  Stage stage(source_of(*desk.controller), 500, 600);
  stage.act([&](Person& person) {
    person->WindowFocus("//###memory");
    person.frames(4);
    CHECK(ImGui::FindWindowByName(transcript_window)->Hidden);
    person.type("still here");
    person.frames(4);
    CHECK_FALSE(ImGui::FindWindowByName(transcript_window)->Hidden);
    CHECK(stage.state.draft == "still here");
    person.type("!");
    CHECK(stage.state.draft == "still here!");
  });
}

}  // namespace keyboard_flow_test
