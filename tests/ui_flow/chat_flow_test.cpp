// A chat in use: writing, sending, stopping, another answer, the list of chats. The engine is the fake one.
#include <catch2/catch.hpp>

#include "tests/desktop/desk.h"
#include "tests/ui_flow/stage.h"

using namespace headroom;
using namespace headroom::test;

namespace chat_flow_test {
namespace {

constexpr const char* draft = "//###transcript/**/###draft";
constexpr const char* send = "//###transcript/**/###send";

/// A loaded chat in a window.
struct Flow {
  Desk desk;
  std::unique_ptr<Stage> stage;

  explicit Flow(const std::string& engine_options = "") : desk(engine_options) {
    desk.open_and_load();
    stage = std::make_unique<Stage>(source_of(*desk.controller));
    desk.controller->on_set_clipboard = [&](const std::string& text) { clipboard = text; };
  }
  const ChatView& view() const { return desk.view(); }
  void act(const std::function<void(Person&)>& steps) { stage->act(steps); }
  bool has_ended() const { return view().can_send; }

  std::string clipboard;
};

}  // namespace

TEST_CASE("a person writes two lines and sends them; the answer stands under them with its numbers", "[chat]") {
  Flow flow;
  flow.act([&](Person& person) {
    CHECK(person.reads("transcript", "Nothing is said yet"));
    person.click(draft);
    person.type("What is");
    person.press(Action::new_line);
    person.type("gravity?");
    CHECK(flow.stage->state.draft == "What is\ngravity?");
    person.press(Action::send);
    CHECK(flow.stage->state.draft.empty());
    REQUIRE(person.until([&] { return flow.has_ended() && flow.view().messages.size() == 2; }));
    CHECK(flow.view().messages[0].content == "What is\ngravity?");
    CHECK(person.reads("transcript", "gravity?"));
    CHECK(person.reads("transcript", "word19"));
    CHECK(person.reads("transcript", flow.view().messages[1].numbers.substr(0, 20)));
    // Send by the other Enter key, and by the button.
    person.type("again");
    person.press(Action::send, true);
    REQUIRE(person.until([&] { return flow.has_ended() && flow.view().messages.size() == 4; }));
    person.type("once more");
    person.click(send);
    REQUIRE(person.until([&] { return flow.has_ended() && flow.view().messages.size() == 6; }));
  });
  CHECK(flow.desk.stored().size() == 6);
}

TEST_CASE("what lies under a mouse that rests is not pointed at after a message was sent", "[chat]") {
  Flow flow("--answer-tokens 3");
  flow.act([&](Person& person) {
    const int32_t& pointed_at = flow.stage->state.hovered_token;
    const auto send_and_wait = [&](const char* text, size_t n_messages) {
      person.type(text);
      person.press(Action::send);
      REQUIRE(person.until([&] { return flow.has_ended() && flow.view().messages.size() == n_messages; }));
    };
    person.click(draft);
    send_and_wait("What is gravity?", 2);
    // Find a word of the answer, which is below the message.
    const ImRect message = person.place_of("//###transcript/**/###plain_text");
    ImVec2 word = {message.Min.x + 30, message.Max.y};
    for (; pointed_at < 0 && word.y < message.Max.y + 120; word.y += 4) person.hover(word);
    REQUIRE(pointed_at >= 0);
    send_and_wait("again", 4);
    CHECK(person.place_of("//###transcript/**/###plain_text").Min.y == message.Min.y);
    CHECK(pointed_at == -1);
    person.hover({word.x + 1, word.y});
    CHECK(pointed_at >= 0);
  });
}

TEST_CASE("an answer is stopped by Esc, by the button and by the menu; what was written stays", "[chat]") {
  Flow flow("--tokens-per-second 100 --answer-tokens 1000");
  flow.act([&](Person& person) {
    const std::vector<std::function<void()>> ways = {[&] { person.press(Action::stop); },
                                                     [&] { person.click("//###transcript/**/###stop"); },
                                                     [&] { person.choose(Action::stop); }};
    for (const auto& stop : ways) {
      person.click(draft);
      person.type("go on");
      person.press(Action::send);
      REQUIRE(person.until([&] { return flow.desk.has_answer_of(20); }));
      stop();
      REQUIRE(person.until([&] { return flow.has_ended(); }));
      CHECK(flow.view().messages.back().note == "stopped");
      CHECK(person.reads("transcript", "stopped"));
    }
  });
}

TEST_CASE("another answer takes the place of the last one: by key, menu and button", "[chat]") {
  Flow flow("--answer-tokens 3");
  flow.act([&](Person& person) {
    person.click(draft);
    person.type("hello");
    person.press(Action::send);
    REQUIRE(person.until([&] { return flow.has_ended() && flow.view().messages.size() == 2; }));
    const std::vector<std::function<void()>> ways = {[&] { person.press(Action::regenerate); },
                                                     [&] { person.choose(Action::regenerate); },
                                                     [&] { person.click("//###transcript/**/###regenerate"); }};
    for (const auto& regenerate : ways) {
      const std::string before = flow.view().messages.back().content;
      regenerate();
      REQUIRE(person.until([&] { return flow.has_ended() && flow.view().messages.back().content != before; }));
      CHECK(flow.view().messages.size() == 2);
    }
    CHECK(flow.view().messages.back().n_versions == 4);
    CHECK(person.reads("transcript", "4/4"));
  });
}

TEST_CASE(
    "versions of an answer: back and forth by buttons, keys and menu; the conversation goes on from the one shown",
    "[chat]") {
  Flow flow("--answer-tokens 3");
  flow.act([&](Person& person) {
    const auto shown = [&] { return flow.view().messages[1].content; };
    person.click(draft);
    person.type("hello");
    person.press(Action::send);
    REQUIRE(person.until([&] { return flow.has_ended() && flow.view().messages.size() == 2; }));
    CHECK_FALSE(person.sees("//###transcript/**/###older_version"));
    const std::string first = shown();
    person.press(Action::regenerate);
    REQUIRE(person.until([&] { return flow.has_ended() && shown() != first; }));
    const std::string second = shown();
    CHECK(person.reads("transcript", "2/2"));
    person.click("//###transcript/**/###older_version");
    CHECK(shown() == first);
    person.frames();
    CHECK(person.reads("transcript", "1/2"));
    person.click("//###transcript/**/###newer_version");
    CHECK(shown() == second);
    person.press(Action::older_version);
    CHECK(shown() == first);
    person.press(Action::older_version);  // already the oldest
    CHECK(shown() == first);
    person.press(Action::newer_version);
    CHECK(shown() == second);
    person.choose(Action::older_version);
    CHECK(shown() == first);
    person.choose(Action::newer_version);
    person.choose(Action::older_version);
    person.click(draft);
    person.type("and then?");
    person.press(Action::send);
    REQUIRE(person.until([&] { return flow.has_ended() && flow.view().messages.size() == 4; }));
    CHECK(flow.desk->mirror().messages()[1].content == first);
    // The versions of an earlier answer have buttons too; the other branch ends there.
    person.click("//###transcript/**/###newer_version");
    CHECK(flow.view().messages.size() == 2);
    CHECK(shown() == second);
  });
}

TEST_CASE("a draft and a pinned head belong to their chat; the draft outlives the window", "[chat]") {
  Flow flow("--answer-tokens 3");
  std::map<int64_t, std::string> drafts;
  flow.act([&](Person& person) {
    UiState& state = flow.stage->state;
    const auto say = [&](const char* text) {
      REQUIRE(person.until([&] { return flow.view().can_send; }));
      person.click(draft);
      person.type(text);
      person.press(Action::send);
      REQUIRE(person.until([&] { return flow.has_ended() && flow.view().messages.size() == 2; }));
    };
    say("one");
    state.pinned_head = 0;
    person.press(Action::new_chat);
    person.frames();
    CHECK(state.pinned_head == -1);
    say("two");
    const int64_t two = flow.view().open_chat;
    state.pinned_head = 1;
    person.click(draft);
    person.type("of two");
    person.press(Action::next_chat);
    person.frames();
    CHECK(state.draft.empty());
    CHECK(state.pinned_head == -1);
    person.click(draft);
    person.type("of one");
    person.press(Action::previous_chat);
    person.frames();
    CHECK(flow.view().open_chat == two);
    CHECK(state.draft == "of two");
    drafts = state.drafts;
  });
  REQUIRE(drafts.size() == 1);
  CHECK(drafts.begin()->second == "of one");
}

TEST_CASE("an example begins a conversation; while nothing can be sent it becomes the draft", "[chat]") {
  Flow flow("--answer-tokens 3");
  flow.act([&](Person& person) {
    person.click("//###transcript/**/$$2/###example");
    REQUIRE(person.until([&] { return flow.has_ended() && flow.view().messages.size() == 2; }));
    CHECK(flow.view().messages[0].content.starts_with("Write a Python function"));
    // The first example is a page of text, long enough to save memory.
    person.press(Action::new_chat);
    REQUIRE(person.until([&] { return flow.has_ended(); }));
    person.click("//###transcript/**/$$0/###example");
    REQUIRE(person.until([&] { return flow.has_ended() && flow.view().messages.size() == 2; }));
    CHECK(flow.view().messages[0].content.size() > 2500);
    CHECK(flow.view().messages[0].content.ends_with("Answer in two sentences."));
  });
}

TEST_CASE("what was sent before comes back by Up, the draft by Down", "[chat]") {
  Flow flow("--answer-tokens 3");
  flow.act([&](Person& person) {
    for (const char* text : {"first", "second"}) {
      person.press(Action::focus_input);
      person.type(text);
      person.press(Action::send);
      REQUIRE(person.until([&] { return flow.has_ended(); }));
    }
    person.type("dra");
    person.press(Action::older_input);
    CHECK(flow.stage->state.draft == "second");
    person.press(Action::older_input);
    CHECK(flow.stage->state.draft == "first");
    person.press(Action::newer_input);
    CHECK(flow.stage->state.draft == "second");
    person.press(Action::newer_input);
    CHECK(flow.stage->state.draft == "dra");
    person.choose(Action::focus_input);
    person.type("ft");
    CHECK(flow.stage->state.draft.find("ft") != std::string::npos);
  });
}

TEST_CASE("messages and answers are copied by their buttons, the key, the menu and a selection", "[chat]") {
  Flow flow("--answer-tokens 3");
  flow.act([&](Person& person) {
    person.click(draft);
    person.type("copy these words");
    person.press(Action::send);
    REQUIRE(person.until([&] { return flow.has_ended(); }));
    const std::string answer = flow.view().messages[1].content;
    person.press(Action::copy_answer);
    CHECK(flow.clipboard == answer);
    flow.clipboard.clear();
    person.choose(Action::copy_answer);
    CHECK(flow.clipboard == answer);
    person.click("//###transcript/**/###copy");
    CHECK(flow.clipboard == "copy these words");

    const std::string text = "//###transcript/**/###plain_text";
    const ImRect place = person.place_of(text);
    person.hover({place.Min.x + 20, place.Min.y + 8});
    person->MouseDoubleClick();
    person.frames();
    flow.clipboard.clear();
    person.press(Action::copy);
    CHECK(flow.clipboard == "copy");
    for (const auto& [entry, copied] :
         {std::pair{"###copy_selection", "copy"}, std::pair{"###select_all", "copy"},
          std::pair{"###copy_selection", "copy these words"}, std::pair{"###copy_whole", "copy these words"}}) {
      person->MouseMoveToPos({place.Min.x + 20, place.Min.y + 8});
      person->MouseClick(ImGuiMouseButton_Right);
      person.frames();
      person.click(std::string("//$FOCUSED/") + entry);
      CHECK(flow.clipboard == copied);
    }
  });
}

TEST_CASE("chats: new ones, opened, renamed, deleted and brought back, by mouse, keys and menus", "[chat]") {
  Flow flow("--answer-tokens 3");
  flow.act([&](Person& person) {
    const auto say = [&](const std::string& text) {
      person.press(Action::focus_input);
      person.type(text);
      person.press(Action::send);
      REQUIRE(person.until([&] { return flow.has_ended() && !flow.view().messages.empty(); }));
    };
    const auto title = [&] {
      for (const ChatEntry& chat : flow.view().chats)
        if (chat.id == flow.view().open_chat) return chat.title;
      return std::string("none");
    };
    say("first chat");
    person.click("//###chats/###new_chat");
    CHECK(flow.view().messages.empty());
    REQUIRE(person.until([&] { return flow.has_ended(); }));
    say("second chat");
    person.press(Action::new_chat);
    CHECK(flow.view().messages.empty());
    REQUIRE(person.until([&] { return flow.has_ended(); }));
    say("third chat");
    person.choose(Action::new_chat);
    CHECK(flow.view().open_chat == 0);
    CHECK(flow.view().chats.size() == 3);
    CHECK(person.reads("chats", "second chat"));

    person.press(Action::next_chat);
    CHECK(title() == "third chat");
    person.choose(Action::next_chat);
    CHECK(title() == "second chat");
    person.press(Action::previous_chat);
    CHECK(title() == "third chat");
    person.press(Action::next_chat);
    person.choose(Action::previous_chat);
    CHECK(title() == "third chat");
    const std::string row = "//###chats/**/chat_" + std::to_string(flow.view().chats.back().id) + "/";
    person.click(row + "###row");
    CHECK(title() == "first chat");
    CHECK(person.reads("transcript", "first chat"));

    // Rename by key, by the menu bar, by the menu of the row, by a right click; Esc keeps the old title.
    const std::vector<std::function<void()>> ways = {[&] { person.press(Action::rename_chat); },
                                                     [&] { person.choose(Action::rename_chat); },
                                                     [&] {
                                                       person.click(row + "###more");
                                                       person.click("//$FOCUSED/###rename");
                                                     },
                                                     [&] {
                                                       person.click(row + "###row", ImGuiMouseButton_Right);
                                                       person.click("//$FOCUSED/###rename");
                                                     }};
    for (size_t i = 0; i < ways.size(); ++i) {
      ways[i]();
      person.frames(3);
      const std::string name = "renamed " + std::to_string(i);
      person->KeyCharsReplaceEnter(name.c_str());
      person.frames();
      CHECK(title() == name);
    }
    person.press(Action::rename_chat);
    person.frames(3);
    person.type("not this");
    person->KeyPress(ImGuiKey_Escape);
    person.frames();
    CHECK(title() == "renamed 3");

    // Delete and restore: every way to delete with every way to restore.
    const std::vector<std::function<void()>> deletes = {[&] { person.press(Action::delete_chat); },
                                                        [&] { person.choose(Action::delete_chat); },
                                                        [&] {
                                                          // Move to the row by keys, because after a click
                                                          // the message field has the keyboard.
                                                          person.click(row + "###row");
                                                          person->NavMoveTo((row + "###row").c_str());
                                                          person.press(Action::delete_row);
                                                          person.frames();
                                                        },
                                                        [&] {
                                                          person.click(row + "###more");
                                                          person.click("//$FOCUSED/###delete");
                                                        }};
    const std::vector<std::function<void()>> undoes = {[&] { person.press(Action::undo_delete); },
                                                       [&] { person.choose(Action::undo_delete); },
                                                       [&] { person.click("//###transcript/**/###undo"); }};
    for (size_t i = 0; i < deletes.size(); ++i) {
      if (flow.view().open_chat == 0) person.click(row + "###row");
      deletes[i]();
      CHECK(flow.view().chats.size() == 2);
      CHECK(person.reads("transcript", "The chat was deleted."));
      undoes[i % undoes.size()]();
      CHECK(flow.view().chats.size() == 3);
      CHECK(flow.view().banners.empty());
    }
  });
}

}  // namespace chat_flow_test
