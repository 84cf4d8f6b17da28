// An answer with all interactive parts of Markdown: code with its copy and wrap buttons, links. The chat is read from
// the database, as after a start.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/desktop/desk.h"
#include "tests/ui_flow/stage.h"

using namespace headroom;
using namespace headroom::test;

namespace markdown_flow_test {
namespace {

const std::string answer = "# A title\n\nSome *text* with [a link](https://example.org/).\n\n```python\nprint('" +
                           std::string(300, 'x') + "')\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- one\n- two\n";

}  // namespace

TEST_CASE("an answer in Markdown: code is copied and wrapped by its buttons, a link opens nothing by itself",
          "[chat]") {
  Desk desk("--answer-tokens 3");
  {
    ChatStore store = ChatStore::open(desk.options.chats_path);
    const int64_t chat = store.create_chat("Markdown");
    store.add_user_message(chat, "Show me");
    const int64_t message = store.begin_answer(chat);
    store.append_answer(message, answer, {});
    store.finish_answer(message, MessageState::complete, "");
  }
  desk.open_and_load();
  Stage stage(source_of(*desk.controller));
  stage.act([&](Person& person) {
    person.press(Action::next_chat);
    REQUIRE(person.until([&] { return desk.view().can_send; }));
    CHECK(person.reads("transcript", "A title"));
    person.click("//###transcript/**/##copy");
    CHECK(std::string(ImGui::GetClipboardText()).starts_with("print('xxx"));
    // Wrapping a long line moves the text below the code down by the new lines.
    const auto place_of = [&](const char* words) {
      const auto& texts = stage.texts();
      const auto found =
          std::find_if(texts.begin(), texts.end(), [&](const SeenText& text) { return text.text == words; });
      REQUIRE(found != texts.end());
      return found->rect;
    };
    const float before = place_of("two").Min.y;
    person.click("//###transcript/**/##wrap");
    person.frames(4);
    CHECK(place_of("two").Min.y > before + 30);
    person.click("//###transcript/**/##wrap");
    person.frames(4);
    CHECK(place_of("two").Min.y == before);

    person.hover(place_of("a link").GetCenter());
    CHECK(ImGui::GetMouseCursor() == ImGuiMouseCursor_Hand);
    person->MouseClick();
    person.frames();
    CHECK(desk.view().banners.empty());
  });
}

}  // namespace markdown_flow_test
