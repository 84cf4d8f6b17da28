// Conversation and message field in use: a message is sent once and never lost.
#include <imgui_internal.h>

#include <catch2/catch.hpp>
#include <set>

#include "tests/ui/ui_fixture.h"
#include "ui/shortcuts.h"
#include "ui/token_view.h"
#include "ui/transcript_messages.h"

using namespace headroom;
using test::UiFixture;

namespace {

void take_messages(UiFixture& ui) {
  for (const MirrorMessage& message : ui.mirror.messages()) {
    TranscriptMessage shown;
    shown.id = std::ssize(ui.chat.messages) + 1;
    shown.role = message.role;
    shown.content = message.content;
    shown.mirror_index = static_cast<int32_t>(ui.chat.messages.size());
    ui.chat.messages.push_back(shown);
  }
  ++ui.chat.version;
}

/// The innermost window with this id in the last frame; null: none.
const ImGuiWindow* window_of(const std::string& id) {
  const ImGuiWindow* found = nullptr;
  for (const ImGuiWindow* window : ImGui::GetCurrentContext()->Windows) {
    const std::string path = window->Name;  // a child's name follows those of its parents
    if (!window->Active || !path.substr(path.rfind('/') + 1).starts_with(id)) continue;
    if (found == nullptr || path.size() > std::string(found->Name).size()) found = window;
  }
  return found;
}

constexpr const char* field = "//###transcript/###draft";

}  // namespace

TEST_CASE("Enter sends, Shift+Enter begins a line", "[transcript]") {
  UiFixture ui("transcript");
  ui.act([&](ImGuiTestContext& person) {
    person.ItemClick(field);
    person.KeyChars("one");
    person.KeyPress(ImGuiMod_Shift | ImGuiKey_Enter);
    person.KeyChars("two");
    person.KeyPress(ImGuiKey_Enter);
  });
  CHECK(ui.actions.calls == std::vector<std::string>{"send one\ntwo"});
  CHECK(ui.state.draft.empty());
}

TEST_CASE("while nothing can be sent, and after Esc, the draft stays", "[transcript]") {
  UiFixture ui("transcript");
  ui.chat.can_send = false;
  ui.chat.cannot_send_why = "The model is being loaded.";
  ui.act([&](ImGuiTestContext& person) {
    person.ItemClick(field);
    person.KeyChars("kept");
    person.KeyPress(ImGuiKey_Enter);
    person.Yield(2);
    person.KeyPress(ImGuiKey_Escape);
    person.Yield(2);
  });
  CHECK(ui.state.draft == "kept");
  CHECK(ui.actions.calls.empty());
}

TEST_CASE("Up and Down walk through what was sent, and come back to the draft", "[transcript]") {
  UiFixture ui("transcript");
  ui.chat.input_history = {"first", "second"};
  std::vector<std::string> seen;
  ui.act([&](ImGuiTestContext& person) {
    person.ItemClick(field);
    person.KeyChars("mine");
    person.KeyPress(ImGuiKey_Home);
    for (const ImGuiKey key :
         {ImGuiKey_UpArrow, ImGuiKey_UpArrow, ImGuiKey_UpArrow, ImGuiKey_DownArrow, ImGuiKey_DownArrow}) {
      person.Yield(2);
      person.KeyPress(key);
      person.Yield(2);
      seen.push_back(ui.state.draft);
    }
  });
  CHECK(seen == std::vector<std::string>{"second", "first", "first", "second", "mine"});
}

TEST_CASE("a turn that runs offers Stop; Regenerate waits for its end", "[transcript]") {
  UiFixture ui("transcript");
  test::SampleStream().apply_to(ui.mirror);
  take_messages(ui);
  ui.chat.is_busy = true;
  ui.act([&](ImGuiTestContext& person) { person.ItemClick("//###transcript/###stop"); });
  CHECK(ui.actions.calls == std::vector<std::string>{"stop"});
}

TEST_CASE("the first frame after a turn ends shows the end, with what can be done now", "[transcript]") {
  UiFixture ui("transcript", 800, 500);
  test::SampleStream().apply_to(ui.mirror);
  take_messages(ui);
  for (int i = 0; i < 200; ++i) ui.chat.messages.back().content += "\n\nA line that makes it long.";
  ui.chat.can_send = false;
  ++ui.chat.version;
  ui.frames(6);
  ui.chat.can_send = true;  // from now on Regenerate is below the last answer
  ++ui.chat.version;
  ui.frames(1);
  const ImGuiWindow* messages = window_of("###messages");
  REQUIRE(messages != nullptr);
  const float content = messages->DC.CursorMaxPos.y - messages->DC.CursorStartPos.y;
  CHECK(content > messages->InnerRect.GetHeight());
  CHECK(messages->Scroll.y + messages->InnerRect.GetHeight() >= content - 2);  // in whole pixels
}

TEST_CASE("a banner has room for its buttons in its first frame", "[transcript]") {
  UiFixture ui("transcript", GENERATE(800, 260), 500);
  ui.frames(4);
  ui.chat.banners.push_back({Banner::Kind::warning, "A sentence of a few words that says what has happened here", true,
                             GENERATE(true, false)});
  ++ui.chat.version;
  ui.frames(1);
  const ImGuiWindow* banner = window_of("###banner");
  REQUIRE(banner != nullptr);
  const float height = banner->Size.y;
  CHECK(banner->DC.CursorMaxPos.y <= banner->Pos.y + height - banner->WindowPadding.y + 0.5f);
  ui.frames(4);
  CHECK(banner->Size.y == height);
}

TEST_CASE("an example is sent by a click", "[transcript]") {
  UiFixture ui("transcript");
  test::SampleStream().apply_to(ui.mirror);
  ui.act([&](ImGuiTestContext& person) { person.ItemClick("//###transcript/**/###example"); });
  REQUIRE(ui.actions.calls.size() == 1);
  CHECK(ui.actions.calls[0].starts_with("send "));
}

TEST_CASE("tints cover the bytes of the tokens that a head holds", "[transcript]") {
  Mirror mirror;
  test::SampleStream().apply_to(mirror);
  for (const MirrorMessage& message : mirror.messages()) {
    REQUIRE(message.token_begin >= 0);
    std::vector<bool> expected(message.content.size());
    for (int32_t p = message.token_begin; p < message.token_end; ++p) {
      const auto [begin, end] = mirror.content_bytes_of(message, p);
      if (mirror.holds(4, p))
        std::fill(expected.begin() + std::ptrdiff_t(begin), expected.begin() + std::ptrdiff_t(end), true);
    }
    std::vector<bool> tinted(message.content.size());
    for (const ByteTint& tint : token_tints(mirror, message, 0, message.content.size(), 4, 1, -1, 2))
      for (size_t i = tint.begin; i < tint.end; ++i) tinted[i] = true;
    CHECK(tinted == expected);
  }
}

TEST_CASE("white space and bytes that are no character are visible in a token", "[transcript]") {
  CHECK(visible_token(" a\n") == "\u00B7a\u00B6");
  CHECK(visible_token("\xE2") == "<E2>");
  CHECK(visible_token("\xE2\x82\xAC") == "\u20AC");
}

TEST_CASE("no two keys of the window mean two things, and each action is listed once", "[transcript]") {
  std::set<Action> actions;
  std::set<ImGuiKeyChord> chords;
  for (const Shortcut& shortcut : shortcuts()) {
    CAPTURE(shortcut.id);
    CHECK(actions.insert(shortcut.action).second);
    for (const ImGuiKeyChord chord : {shortcut.chord, shortcut.other_chord})
      if (chord != ImGuiKey_None && shortcut.scope != KeyScope::panel) CHECK(chords.insert(chord).second);
  }
  CHECK(actions.size() == static_cast<size_t>(Action::quit) + 1);
}
