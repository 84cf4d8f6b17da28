// An engine that dies, sends wrong data, hangs or never starts, and a full disk. The window shows a message, and
// nothing that was on screen is lost.
#include <csignal>
#include <fstream>

#include "tests/desktop/desk.h"
#include "tests/support/full_disk.h"

using namespace headroom;
using namespace headroom::test;

namespace {

bool is_alive(int process) {
  return kill(process, 0) == 0;
}

}  // namespace

TEST_CASE("an engine that ends in the middle of an answer is started again with the transcript, and the answer stays") {
  struct Row {
    const char* option;
    const char* sentence;
  };
  const auto [option, sentence] = GENERATE(Row{"--crash-after 5", "signal 6"}, Row{"--kill-after 5", "signal 9"},
                                           Row{"--garbage-after 5", "cannot be used"});
  Desk desk;
  desk.options.engine_command =
      fake_engine(std::string("--tokens-per-second 500 --once '") + (desk.folder / "once") + "' " + option);
  desk.open_and_load();
  const int first_engine = desk->engine_process_id();
  desk->send("hello there");
  REQUIRE(desk.until([&] { return desk.has_banner("was started again"); }));
  INFO(desk.view().banners.back().text);
  CHECK(desk.has_banner(sentence));
  REQUIRE(desk.view().messages.size() == 2);
  const std::string text = desk.view().messages[1].content;
  CHECK(text.find("word4") != std::string::npos);
  CHECK(text.find("word5") == std::string::npos);
  CHECK(desk.view().messages[1].note.find("cut off: ") == 0);
  CHECK_FALSE(desk.view().messages[1].is_streaming);

  // The transcript is prefilled again: it ends with the user's message, from which the next turn continues.
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  CHECK(desk->engine_process_id() != first_engine);
  CHECK_FALSE(is_alive(first_engine));
  CHECK(desk->mirror().n_cached() > 0);
  CHECK(desk.view().messages[0].mirror_index == 0);
  CHECK(desk.stored()[1].content == text);
  CHECK(desk.stored()[1].state == MessageState::failed);

  SECTION("the chat goes on") {
    desk.say("and now?");
    CHECK(desk.view().messages.size() == 4);
    CHECK(desk.view().messages[3].note.empty());
  }
  SECTION("the answer is regenerated") {
    desk->regenerate();
    REQUIRE(desk.until([&] { return desk.view().can_send; }));
    REQUIRE(desk.view().messages.size() == 2);
    CHECK(desk.view().messages[1].note.empty());
    CHECK(desk.view().messages[1].content.find("word19") != std::string::npos);
    CHECK(desk.stored().size() == 2);
  }
}

TEST_CASE("killed from outside, at rest and while the prompt is read") {
  Desk desk("--prefill-ms 200");
  desk.open_and_load();
  SECTION("at rest") {
    kill(desk->engine_process_id(), SIGKILL);
    REQUIRE(desk.until([&] { return desk.has_banner("signal 9"); }));
    REQUIRE(desk.until([&] { return desk.view().can_send; }));
    desk.say("hello");
    CHECK(desk.view().messages.size() == 2);
  }
  SECTION("while the prompt is read: the message stays and can be answered") {
    desk->send("hello");
    REQUIRE(desk.until([&] { return desk->mirror().turn().has_value(); }));
    kill(desk->engine_process_id(), SIGKILL);
    REQUIRE(desk.until([&] { return desk.has_banner("signal 9"); }));
    REQUIRE(desk.view().messages.size() == 1);
    CHECK(desk.view().messages[0].note.find("cut off: ") == 0);
    REQUIRE(desk.until([&] { return desk.view().can_send; }));
    desk->regenerate();
    REQUIRE(desk.until([&] { return desk.view().messages.size() == 2; }));
  }
}

TEST_CASE("three failures within a minute: it stops, says what to try, and starts again when it is asked to") {
  Desk desk;
  std::string option = GENERATE("--die", "--crash-in-load", "--crash-in-prefill");
  const bool in_prefill = option == "--crash-in-prefill";
  desk.options.engine_command = fake_engine(option);
  if (in_prefill) {
    desk.open_and_load();
    desk->send("the question that kills");
  } else {
    desk.open();
  }
  REQUIRE(desk.until([&] { return desk.has_banner("3 times within a minute"); }));
  INFO(desk.view().banners.back().text);
  CHECK(desk.has_banner("another model"));
  CHECK_FALSE(desk.has_banner("was started again"));
  CHECK(desk.view().banners.back().offers_restart);
  CHECK_FALSE(desk.view().engine_is_running);
  CHECK(desk.view().cannot_send_why == "The engine is not running.");
  CHECK(desk->engine_process_id() == 0);
  if (option == "--die") CHECK(desk.has_banner("no engine today"));
  desk.poll_for(100);
  CHECK_FALSE(desk.view().engine_is_running);
  if (in_prefill) CHECK(desk.stored().size() == 1);

  desk->restart_engine();
  CHECK_FALSE(desk.has_banner("3 times"));
  REQUIRE(desk.until([&] { return desk.has_banner("3 times"); }));
}

TEST_CASE("an engine that cannot be started at all") {
  Desk desk;
  desk.options.engine_command = "/nowhere/headroom engine";
  desk.open();
  REQUIRE(desk.until([&] { return desk.has_banner("3 times within a minute"); }));
  INFO(desk.view().banners.back().text);
  CHECK(desk.has_banner("not found"));
  desk.options.engine_command = "echo this is no engine";
  desk.open();
  REQUIRE(desk.until([&] { return desk.has_banner("3 times within a minute"); }));
  INFO(desk.view().banners.back().text);
  CHECK(desk.has_banner("cannot be used"));
}

TEST_CASE("an engine that writes much to its standard error is followed all the same") {
  Desk desk("--flood-stderr");
  desk.open_and_load();
  desk.say("hello");
  CHECK(desk.view().messages.size() == 2);
}

TEST_CASE("what an engine says stays bounded, however long and however often it speaks") {
  SECTION("one sentence of many megabytes") {
    Desk desk("--failures 1 --failure-bytes 20000000");
    desk.open_and_load();
    desk.say("hello");
    REQUIRE(desk.view().banners.size() == 1);
    const std::string& text = desk.view().banners[0].text;
    CHECK(text.size() <= StreamLimits::max_sentence_bytes);
    CHECK(text.starts_with("trouble 0 and so on "));  // one line
    CHECK(text.ends_with("…"));
    CHECK(desk->mirror().failure() == text);
    desk->dismiss_banner();
    CHECK(desk.view().banners.empty());
  }
  SECTION("many sentences") {
    Desk desk("--failures 3000");
    desk.open_and_load();
    REQUIRE(desk.until([&] { return desk.has_banner("trouble 2999 "); }));
    CHECK(desk.view().banners.size() <= 12);
    desk.say("hello");
    CHECK(desk.view().messages.size() == 2);
  }
  SECTION("tokens of a length that no vocabulary has") {
    Desk desk("--token-bytes 100000 --answer-tokens 100000");
    desk.open_and_load();
    desk->send("hello");
    REQUIRE(desk.until([&] { return desk.has_banner("a token's text has 100000 bytes; expected at most 65536"); }));
    CHECK(desk->mirror().token_text().size() < 1000);
  }
}

TEST_CASE("an engine that hangs stops neither the window nor its end") {
  Desk desk;
  desk.options.engine_command = fake_engine(GENERATE("--hang", "--hang-after 5"));
  desk.open();
  desk.until([&] { return desk.view().can_send; }, 300);
  if (desk.view().can_send) {
    desk->send(std::string(4 << 20, 'x'));
    REQUIRE(desk.until([&] { return desk.has_answer_of(10); }));
    desk->stop();
  }
  const int engine = desk->engine_process_id();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) desk->poll();
  SECTION("closed") {
    desk->close();
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
    CHECK_FALSE(is_alive(engine));
  }
  SECTION("started again by hand") {
    desk->restart_engine();
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
    CHECK_FALSE(is_alive(engine));
    CHECK(desk->engine_process_id() > 0);
    CHECK(desk->engine_process_id() != engine);
  }
}

TEST_CASE("the disk is full in the middle of an answer: it stays on screen, and is saved when there is room again") {
  Desk desk("--tokens-per-second 1000 --answer-tokens 300");
  desk.open_and_load();
  desk.say("before");
  const size_t n_before = desk.stored().size();
  {
    // Room for this many pages of the database's log, which restarts after each answer.
    const FullDisk full(32 + (4096 + 24) * GENERATE(0, 2, 4, 8, 12));
    desk->send("hello");
    REQUIRE(desk.until([&] { return desk.view().can_send; }));
    REQUIRE(desk.view().messages.size() == 4);
    CHECK(desk.has_banner("Could not save the"));
    CHECK(desk.view().messages[3].content.find("word299") != std::string::npos);
    desk->dismiss_banner();
  }
  const std::string answer = desk.view().messages[3].content;
  CHECK(desk.stored().size() >= n_before);
  SECTION("with the next message") {
    desk.say("and now?");
    REQUIRE(desk.stored().size() == 6);
  }
  SECTION("when the window is closed") {
    desk->close();
    REQUIRE(desk.stored().size() == 4);
  }
  CHECK(desk.stored()[2].content == "hello");
  CHECK(desk.stored()[3].content == answer);
  CHECK(desk.stored()[3].state == MessageState::complete);
}
