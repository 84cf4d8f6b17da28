// A full context, a message that is too long, a window without a model, files dropped on it: the messages shown and the
// buttons that help.
#include <catch2/catch.hpp>
#include <fstream>

#include "app/desktop/chat_window.h"
#include "tests/desktop/desk.h"
#include "tests/ui_flow/stage.h"

using namespace headroom;
using namespace headroom::test;

namespace {

const std::string panel = "//###transcript/**/";
const std::string trace = std::string(HEADROOM_TEST_DATA) + "/traces/chat.hrtrace";

struct Room {
  Desk desk;
  std::unique_ptr<Stage> stage;
  explicit Room(const std::string& engine_options) : desk(engine_options) {
    desk.open_and_load();
    stage = std::make_unique<Stage>(source_of(*desk.controller));
  }
  void say(Person& person, const std::string& text) {
    person.type(text);
    person.press(Action::send);
    REQUIRE(person.until([&] { return desk.view().can_send; }));
  }
};

}  // namespace

TEST_CASE("a full context is said before it is full, and made room in by button, key and menu", "[room]") {
  const std::vector<std::function<void(Person&)>> ways = {
      [](Person& person) { person.click(panel + "###drop_oldest"); },
      [](Person& person) { person.press(Action::drop_oldest); },
      [](Person& person) { person.choose(Action::drop_oldest); }};
  for (const auto& drop : ways) {
    Room room("--ctx 64 --answer-tokens 10");
    room.stage->act([&](Person& person) {
      CHECK_FALSE(person.sees(panel + "###drop_oldest"));
      for (int i = 0; i < 4; ++i) room.say(person, "question");
      CHECK(person.reads("transcript", "The context is nearly full"));
      person.type("these words are more than what is left");
      REQUIRE(person.until([&] {
        const auto& count = room.desk.view().prompt_count;
        return count && count->draft == room.stage->state.draft;
      }));
      CHECK(person.reads("transcript", "With this message the conversation has 71 tokens"));
      person.press(Action::send);  // nothing happens: it would be refused
      CHECK(room.desk.view().messages.size() == 8);
      drop(person);
      REQUIRE(person.until([&] { return room.desk.view().can_send && room.desk.view().messages[0].is_dropped; }));
      CHECK(room.stage->state.draft == "these words are more than what is left");
      person.press(Action::to_start);
      CHECK(person.reads("transcript", "dropped: the model no longer reads it"));
      person.press(Action::focus_input);
      person.press(Action::send);
      REQUIRE(person.until([&] { return room.desk.view().can_send && room.desk.view().messages.size() == 10; }));
    });
  }
}

TEST_CASE("from a full context one goes on with a new chat, too", "[room]") {
  Room room("--ctx 20 --answer-tokens 100");
  room.stage->act([&](Person& person) {
    room.say(person, "go on");
    CHECK(person.reads("transcript", "The context of 20 tokens is full"));
    CHECK(person.reads("transcript", "Drop the oldest turn"));
    person.click(panel + "###new_chat_below");
    REQUIRE(person.until([&] { return room.desk.view().can_send && room.desk.view().messages.empty(); }));
    CHECK_FALSE(person.sees(panel + "###drop_oldest"));
  });
}

TEST_CASE("a message that is refused is in the field again, before what was typed since", "[room]") {
  Room room("--ctx 64 --answer-tokens 3");
  room.stage->act([&](Person& person) {
    // Send it before it could be counted.
    person.type("refuse this");
    room.stage->state.draft = "refuse this";
    person.press(Action::send);
    REQUIRE(person.until([&] { return room.desk.has_banner("The message was not sent"); }));
    CHECK(room.stage->state.draft == "refuse this");
    person.type("!");
    CHECK(room.stage->state.draft == "refuse this!");
    person.press(Action::send);
    REQUIRE(person.until([&] { return room.desk.view().can_send && room.desk.view().messages.size() == 2; }));
    // A message that is too long by itself, so that dropping turns would not help.
    std::string text;
    for (int i = 0; i < 100; ++i) text += "w ";
    ImGui::SetClipboardText(text.c_str());
    person->KeyPress(ImGuiMod_Ctrl | ImGuiKey_V);
    REQUIRE(person.until([&] {
      const auto& count = room.desk.view().prompt_count;
      return count && count->draft == room.stage->state.draft;
    }));
    CHECK(person.reads("transcript", "This message is too long"));
    CHECK_FALSE(person.sees(panel + "###drop_oldest"));
  });
}

TEST_CASE("a message without an answer is edited or tried again by button, key and menu", "[room]") {
  Room room("--prefill-ms 400 --answer-tokens 3");
  room.stage->act([&](Person& person) {
    const std::vector<std::function<void()>> ways = {[&] { person.click(panel + "###take_back"); },
                                                     [&] { person.press(Action::take_back); },
                                                     [&] { person.choose(Action::take_back); }};
    person.type("a question");
    for (const auto& take_back : ways) {
      person.press(Action::send);
      REQUIRE(person.until([&] { return room.desk->mirror().turn().has_value(); }));
      person.press(Action::stop);
      REQUIRE(person.until([&] { return room.desk.view().can_send; }));
      REQUIRE(room.desk.view().messages.size() == 1);
      take_back();
      person.frames(4);
      CHECK(room.desk.view().messages.empty());
      CHECK(room.stage->state.draft == "a question");
      REQUIRE(person.until([&] { return room.desk.view().can_send; }));
    }
    person.press(Action::send);
    REQUIRE(person.until([&] { return room.desk->mirror().turn().has_value(); }));
    person.press(Action::stop);
    REQUIRE(person.until([&] { return room.desk.view().can_send; }));
    person.click(panel + "###try_again");
    REQUIRE(person.until([&] { return room.desk.view().can_send && room.desk.view().messages.size() == 2; }));
  });
}

TEST_CASE("without a model: a path, the default model, and a chat that is read meanwhile", "[room]") {
  Desk desk("--answer-tokens 3");
  desk.open_and_load();
  desk.say("an old chat");
  desk.options.model_path.clear();
  desk.options.default_model_path = desk.folder / "default.gguf";
  desk.open();
  std::string clipboard;
  int n_dialogs = 0;
  desk.controller->on_set_clipboard = [&](const std::string& text) { clipboard = text; };
  desk.controller->on_choose_model = [&] { ++n_dialogs; };
  auto stage = std::make_unique<Stage>(source_of(*desk.controller));
  stage->act([&](Person& person) {
    REQUIRE(person.until([&] { return person.reads("transcript", "No model is open"); }));
    CHECK(person.reads("transcript", "./run.sh"));
    person.click(panel + "###copy_fetch");
    CHECK(clipboard == "./run.sh");
    person.click(panel + "###open_default");
    CHECK(desk.has_banner("is not at"));
    person.press(Action::dismiss_banner);
    person->ItemInput((panel + "###model_path").c_str());
    person->KeyCharsReplace("/nowhere/at/all.gguf");
    person.frames();
    CHECK(stage->state.draft.empty());
    person.click(panel + "###open_path");
    // The stored chat can be read; below it the window says what is missing.
    person.click("//###chats/**/chat_" + std::to_string(desk.view().chats[0].id) + "/###row");
    CHECK(person.reads("transcript", "an old chat"));
  });
  stage.reset();
  desk.open();
  Stage again(source_of(*desk.controller));
  desk.controller->on_choose_model = [&] { ++n_dialogs; };
  again.act([&](Person& person) {
    person.click("//###chats/**/chat_" + std::to_string(desk.view().chats[0].id) + "/###row");
    REQUIRE(person.until([&] { return person.sees(panel + "###open_model_below"); }));
    person.click(panel + "###open_model_below");
    CHECK(n_dialogs == 1);
    std::ofstream(desk.options.default_model_path) << "GGUF";
    person.press(Action::new_chat);
    person.click(panel + "###open_default");
    REQUIRE(person.until([&] { return desk.view().can_send; }));
  });
}

TEST_CASE("a text that falls on the window is in the draft; a recording is shown over the chat", "[room]") {
  Desk desk("--answer-tokens 3");
  desk.open_and_load();
  ChatWindow window(*desk.controller);
  Stage stage({[&] { return window.poll(); }, [&]() -> const Mirror& { return window.mirror(); },
               [&]() -> const ChatView& { return window.view(); }, [&] { return &window.actions(); }});
  const std::string text = desk.folder / "a.txt";
  std::ofstream(text) << "some text\n";
  stage.act([&](Person& person) {
    person.type("Look at this");
    stage.drop({text});
    person.frames(4);
    CHECK(stage.state.draft == "Look at this\n\na.txt:\n```\nsome text\n```\n");
    person.type("What is it?");
    CHECK(stage.state.draft.ends_with("```\nWhat is it?"));
    const std::vector<std::function<void()>> ways = {[&] { person.click(panel + "###close_replay"); },
                                                     [&] { person.press(Action::close_replay); },
                                                     [&] { person.choose(Action::close_replay); }};
    for (const auto& close : ways) {
      stage.drop({trace});
      person.frames(6);
      REQUIRE(window.view().replay);
      CHECK(person.reads("transcript", "Back to the chat"));
      close();
      person.frames(4);
      CHECK_FALSE(window.view().replay);
      CHECK(stage.state.draft.ends_with("What is it?"));
    }
    person.press(Action::send);
    REQUIRE(person.until([&] { return desk.view().can_send && desk.view().messages.size() == 2; }));
  });
}
