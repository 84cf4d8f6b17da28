// A message that the engine refuses returns to the draft, and a full context can be made free. The chat can always
// continue.
#include "tests/desktop/desk.h"

using namespace headroom;
using namespace headroom::test;

namespace {

std::string words(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += "word ";
  return text;
}

/// Takes the returned text, as the message field does.
std::string taken_draft(Desk& desk) {
  std::string text = desk.view().returned_text + desk.view().attached_text;
  desk->take_for_draft();
  return text;
}

}  // namespace

TEST_CASE("a message that is too long comes back, leaves the chat, and the next one is answered", "[room]") {
  Desk desk("--ctx 64 --answer-tokens 5");
  desk.open_and_load();
  SECTION("as the first of a chat, which then never was") {
    desk.say(words(100));
    CHECK(desk.view().messages.empty());
    CHECK(desk.view().chats.empty());
    CHECK(desk.view().open_chat == 0);
    CHECK(taken_draft(desk) == words(100));
    CHECK(desk.has_banner("The message was not sent: the prompt has 103 tokens; the context holds 64"));
    desk.say("hello");
    CHECK(desk.shown().size() == 2);
    CHECK(desk.stored().size() == 2);
  }
  SECTION("behind others, which stay") {
    desk.say("hello");
    desk.say(words(100));
    REQUIRE(desk.view().messages.size() == 2);
    CHECK(desk.stored().size() == 2);
    CHECK(taken_draft(desk) == words(100));
    desk.say("hello again");
    CHECK(desk.view().messages.size() == 4);
    CHECK(desk.stored().size() == 4);
    CHECK(desk.view().input_history == std::vector<std::string>{"hello", "hello again"});
  }
}

TEST_CASE("for a draft that is too long by itself no more turns are dropped than without it", "[room]") {
  Desk desk("--ctx 64 --answer-tokens 10");
  desk.open_and_load();
  for (int i = 0; i < 4; ++i) desk.say("question");
  const int32_t n_droppable = desk.view().n_droppable_turns;
  CHECK(n_droppable > 0);
  CHECK(n_droppable < 4);
  desk->count_draft(words(100));
  REQUIRE(desk.until([&] { return desk.view().prompt_count.has_value(); }));
  CHECK(desk.view().n_droppable_turns == n_droppable);
  desk->drop_oldest_turns();
  CHECK_FALSE(desk.view().messages.back().is_dropped);
}

TEST_CASE("any message that the engine refuses before it begins comes back", "[room]") {
  Desk desk;
  desk.open_and_load();
  desk.say("hello");
  desk.say("refuse this");
  CHECK(desk.view().messages.size() == 2);
  CHECK(taken_draft(desk) == "refuse this");
  CHECK(desk.view().returned_text.empty());
  CHECK(desk.has_banner("the template stops: it does not like this"));
}

TEST_CASE("text that no engine takes is not sent: it stays where it was written", "[room]") {
  Desk desk;
  desk.open_and_load();
  CHECK_FALSE(desk->send("  \n\t"));
  CHECK_FALSE(desk->send(std::string("a\0b", 3)));
  CHECK_FALSE(desk->send("a\xff"));
  CHECK(desk.view().messages.empty());
  CHECK(desk.view().banners.size() == 2);
  CHECK(desk->send("fine"));
}

TEST_CASE("a message that was stopped before its answer can be taken back, tried again, or added to", "[room]") {
  Desk desk("--prefill-ms 300 --answer-tokens 3");
  desk.open_and_load();
  desk->send("first part");
  REQUIRE(desk.until([&] { return desk->mirror().turn().has_value(); }));
  desk->stop();
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  REQUIRE(desk.view().messages.size() == 1);
  SECTION("taken back") {
    desk->take_back_message();
    CHECK(desk.view().messages.empty());
    CHECK(taken_draft(desk) == "first part");
    CHECK(desk.view().chats.empty());
    REQUIRE(desk.until([&] { return desk.view().can_send; }));
  }
  SECTION("tried again") {
    desk->regenerate();
    REQUIRE(desk.until([&] { return desk.view().can_send; }));
    CHECK(desk.view().messages.size() == 2);
    desk->take_back_message();  // it has an answer
    CHECK(desk.view().messages.size() == 2);
  }
  SECTION("added to: the engine reads both as one message, since many templates take only one") {
    desk.say("second part");
    REQUIRE(desk.view().messages.size() == 3);
    REQUIRE(desk->mirror().messages().size() == 2);
    CHECK(desk->mirror().messages()[0].content == "first part\n\nsecond part");
    CHECK(desk.view().messages[0].mirror_index == -1);
    CHECK(desk.view().messages[2].mirror_index == 1);
  }
}

TEST_CASE("the draft is counted with the conversation once it stands still", "[room]") {
  Desk desk("--answer-tokens 3 --ctx 64");
  desk.open_and_load();
  const auto count = [&](const std::string& draft) {
    desk->count_draft(draft);
    REQUIRE(desk.until([&] { return desk.view().prompt_count && desk.view().prompt_count->draft == draft; }));
    return desk.view().prompt_count->n_tokens;
  };
  CHECK(count("three words here") == 6);  // with <user>, </user>, <assistant>
  desk.say("hello");
  CHECK_FALSE(desk.view().prompt_count);  // the old one belongs to another conversation
  CHECK(count("three words here") == 14);
  CHECK(count(words(100)) == 111);
  CHECK(count("refuse this") == -1);
  CHECK(desk.view().prompt_count->why_not == "the template stops: it does not like this");
  CHECK(count("a\xff") == -1);
}

TEST_CASE("a full context: the oldest turns are dropped, stay in the chat, and the chat goes on, later too", "[room]") {
  Desk desk("--ctx 64 --answer-tokens 10");
  desk.open_and_load();
  for (int i = 0; i < 4; ++i) desk.say("question " + std::to_string(i));
  REQUIRE(desk.view().messages.size() == 8);
  CHECK(desk.view().n_droppable_turns > 0);
  desk.say(words(30));
  CHECK(taken_draft(desk) == words(30));  // it does not fit
  const int32_t n = desk.view().n_droppable_turns;
  REQUIRE(n > 0);
  desk->drop_oldest_turns();
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  REQUIRE(desk.view().messages.size() == 8);
  const auto n_dropped = static_cast<size_t>(2 * n);
  for (size_t i = 0; i < 8; ++i) {
    CHECK(desk.view().messages[i].is_dropped == (i < n_dropped));
    // The last answer is prefilled with the next message.
    if (i < 7) CHECK((desk.view().messages[i].mirror_index == -1) == (i < n_dropped));
  }
  desk.say("and on");
  CHECK(desk.view().messages.size() == 10);
  CHECK(desk.view().messages[9].mirror_index == static_cast<int32_t>(9 - n_dropped));

  desk.open_and_load();
  desk->open_chat(desk.view().chats[0].id);
  REQUIRE(desk.view().messages.size() == 10);
  CHECK(desk.view().messages[n_dropped - 1].is_dropped);
  CHECK_FALSE(desk.view().messages[n_dropped].is_dropped);
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  desk.say("and on");
  CHECK(desk.view().messages.size() == 12);
}

TEST_CASE("a chat that is longer than the context of another model says so and can be made shorter", "[room]") {
  Desk desk("--answer-tokens 10");
  desk.open_and_load();
  for (int i = 0; i < 8; ++i) desk.say("question " + std::to_string(i));
  desk.options.engine_command = fake_engine("--ctx 40 --answer-tokens 10");
  desk.open_and_load();
  desk->open_chat(desk.view().chats[0].id);
  REQUIRE(desk.until([&] { return desk.view().is_overfull; }));
  CHECK(desk.view().banners.empty());
  REQUIRE(desk.view().n_droppable_turns > 0);
  for (int i = 0; i < 8 && (desk.view().is_overfull || i == 0); ++i) {
    desk->drop_oldest_turns();
    REQUIRE(desk.until([&] { return desk.view().can_send; }));
    desk.poll_for(50);
  }
  CHECK_FALSE(desk.view().is_overfull);
  desk.say("short");
  CHECK(desk.view().messages.size() == 18);
}

TEST_CASE("a single turn that fills the context can be dropped, and nothing of it is left in the engine", "[room]") {
  Desk desk("--ctx 20 --answer-tokens 100");
  desk.open_and_load();
  desk.say("go on");
  CHECK(desk.view().messages[1].note.find("context of 20 tokens is full") != std::string::npos);
  REQUIRE(desk.view().n_droppable_turns == 1);
  desk->drop_oldest_turns();
  REQUIRE(desk.until([&] { return desk.view().can_send && desk->mirror().n_cached() == 0; }));
  desk.say("again");
  CHECK(desk.view().messages.size() == 4);
  CHECK(desk->mirror().messages().size() == 2);
}
