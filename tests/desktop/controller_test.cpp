// Every action of the window against a fake engine that works correctly: what the window shows and what is on disk.
#include "tests/desktop/desk.h"
#include "tests/support/full_disk.h"

using namespace headroom;
using namespace headroom::test;

TEST_CASE("a message is answered, shown and stored, and the numbers stand under the answer") {
  Desk desk;
  desk.open_and_load();
  CHECK(desk.view().open_chat == 0);
  desk.say("hello there");
  REQUIRE(desk.view().messages.size() == 2);
  const TranscriptMessage& answer = desk.view().messages[1];
  CHECK(answer.role == "assistant");
  CHECK(answer.content.find("answer-") == 0);
  CHECK(answer.numbers.find("answer 20 tokens") != std::string::npos);
  CHECK_FALSE(answer.is_streaming);
  CHECK(desk.view().messages[0].mirror_index == 0);
  CHECK(answer.mirror_index == 1);
  REQUIRE(desk.view().chats.size() == 1);
  CHECK(desk.view().chats[0].title == "hello there");
  CHECK(desk.view().open_chat == desk.view().chats[0].id);
  CHECK(desk.view().input_history == std::vector<std::string>{"hello there"});

  const std::vector<StoredMessage> stored = desk.stored();
  REQUIRE(stored.size() == 2);
  CHECK(stored[0].content == "hello there");
  CHECK(stored[1].content == answer.content);
  CHECK(stored[1].ids.size() == 20);
  CHECK(stored[1].state == MessageState::complete);

  SECTION("and it is all there in the next window, where the engine goes on from it") {
    desk.open_and_load();
    CHECK(desk.view().messages.empty());
    desk->open_chat(desk.view().chats[0].id);
    CHECK(desk.view().messages.size() == 2);
    CHECK(desk.view().messages[1].numbers.find("answer 20 tokens") != std::string::npos);
    REQUIRE(desk.until([&] { return desk.view().can_send; }));
    desk.say("and then?");
    CHECK(desk.view().messages.size() == 4);
    CHECK(desk.view().messages[3].mirror_index == 3);
  }
}

TEST_CASE("a message that cannot be sent changes nothing") {
  Desk desk;
  desk.open_and_load();
  desk->send(" \n\t");
  CHECK(desk.view().messages.empty());
  desk->send(std::string("a\0b", 3));
  CHECK(desk.view().messages.empty());
  CHECK(desk.has_banner("the message"));
  desk->dismiss_banner();
  CHECK(desk.view().banners.empty());
}

TEST_CASE("a system prompt is told to the engine and is no message of the chat") {
  Desk desk;
  desk.options.system_prompt = "be brief";
  desk.open_and_load();
  desk.say("hello");
  CHECK(desk.view().messages.size() == 2);
  CHECK(desk->mirror().messages().size() == 3);
  CHECK(desk.view().messages[0].mirror_index == 1);
  CHECK(desk.view().messages[1].mirror_index == 2);
}

TEST_CASE("Stop ends the answer and keeps what was written") {
  Desk desk("--tokens-per-second 100 --answer-tokens 100000");
  desk.open_and_load();
  desk->send("go on");
  CHECK(desk.view().is_busy);
  CHECK_FALSE(desk.view().can_send);
  REQUIRE(desk.until([&] { return desk.has_answer_of(40); }));
  CHECK(desk.view().messages.back().is_streaming);
  desk->stop();
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  CHECK(desk.view().messages.back().note == "stopped");
  const std::vector<StoredMessage> stored = desk.stored();
  REQUIRE(stored.size() == 2);
  CHECK(stored[1].content == desk.view().messages.back().content);
  CHECK(stored[1].state == MessageState::stopped);
}

TEST_CASE("Stop while the prompt is read leaves the message without an answer, and Regenerate answers it") {
  Desk desk("--prefill-ms 400");
  desk.open_and_load();
  desk->send("hello");
  REQUIRE(desk.until([&] { return desk->mirror().turn().has_value(); }));
  desk->stop();
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  REQUIRE(desk.view().messages.size() == 1);
  CHECK(desk.view().messages[0].note == "stopped before an answer began");
  desk->regenerate();
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  CHECK(desk.view().messages.size() == 2);
  CHECK(desk.view().messages[0].note.empty());
  CHECK(desk.stored().size() == 2);
}

TEST_CASE("another answer stands beside the one before; either can be part of the conversation, after a start too") {
  Desk desk;
  desk.open_and_load();
  desk.say("hello");
  const std::string first = desk.view().messages[1].content;
  CHECK(desk.view().messages[1].n_versions == 1);
  desk->regenerate();
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  const std::string second = desk.view().messages[1].content;
  REQUIRE(second != first);
  CHECK(desk.view().messages[1].version == 1);
  CHECK(desk.view().messages[1].n_versions == 2);
  const auto choose = [&](size_t index, int32_t version) {
    desk->choose_version(desk.view().messages[index].id, version);
  };
  choose(1, 0);
  CHECK(desk.view().messages[1].content == first);
  CHECK(desk.view().messages[1].version == 0);
  choose(1, 7);  // does not exist
  CHECK(desk.view().messages[1].content == first);
  // The engine undoes its cache and continues from the chosen answer.
  desk.say("and then?");
  REQUIRE(desk.view().messages.size() == 4);
  CHECK(desk->mirror().messages()[1].content == first);
  choose(1, 1);
  CHECK(desk.shown() == std::vector<std::string>{"user: hello", "assistant: " + second});
  choose(1, 0);
  CHECK(desk.view().messages.size() == 4);
  choose(1, 1);

  desk.open_and_load();
  desk->open_chat(desk.view().chats[0].id);
  CHECK(desk.shown() == std::vector<std::string>{"user: hello", "assistant: " + second});
  CHECK(desk.view().messages[1].n_versions == 2);
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  // A third version differs from both, although the program was restarted.
  desk->regenerate();
  REQUIRE(desk.until([&] { return desk.view().can_send && desk.view().messages[1].n_versions == 3; }));
  CHECK(desk.view().messages[1].content != first);
  CHECK(desk.view().messages[1].content != second);
}

TEST_CASE("versions stay where a chat cannot be saved, and are saved with it once it can") {
  Desk desk;
  std::filesystem::create_directory(desk.folder / "chats.sqlite");
  desk.open_and_load();
  REQUIRE(desk.has_banner("Chats are not saved"));
  desk.say("hello");
  const std::string first = desk.view().messages[1].content;
  desk->regenerate();
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  const std::string second = desk.view().messages[1].content;
  REQUIRE(first != second);
  CHECK(desk.view().messages[1].n_versions == 2);
  desk->choose_version(desk.view().messages[1].id, 0);
  CHECK(desk.view().messages[1].content == first);
  CHECK(desk.view().messages[1].version == 0);
  desk.say("goes on");
  CHECK(desk.view().messages.size() == 4);
  desk->choose_version(desk.view().messages[1].id, 1);
  CHECK(desk.shown() == std::vector<std::string>{"user: hello", "assistant: " + second});
  desk->choose_version(desk.view().messages[1].id, 0);
  CHECK(desk.view().messages.size() == 4);
}

TEST_CASE("a disk that is full for a while: both answers are there when it is not") {
  Desk desk;
  desk.open_and_load();
  std::string first, second;
  {
    const std::string log = desk.folder / "chats.sqlite-wal";
    const FullDisk full(std::filesystem::file_size(log));
    desk.say("hello");
    REQUIRE(desk.has_banner("What is on screen stays"));
    first = desk.view().messages[1].content;
    desk->regenerate();
    REQUIRE(desk.until([&] { return desk.view().can_send; }));
    second = desk.view().messages[1].content;
    CHECK(desk.view().messages[1].n_versions == 2);
  }
  desk.say("more");
  CHECK(desk.stored().size() == 4);
  CHECK(desk.stored()[1].content == second);
  REQUIRE(desk.stored()[1].versions.size() == 2);
  desk->choose_version(desk.view().messages[1].id, 0);
  CHECK(desk.shown() == std::vector<std::string>{"user: hello", "assistant: " + first});
  CHECK(desk.stored()[1].content == first);
}

TEST_CASE("an engine that dies in the middle of another answer leaves both") {
  Desk desk("--tokens-per-second 100 --answer-tokens 40");
  desk.open_and_load();
  desk.say("hello");
  const std::string first = desk.view().messages[1].content;
  desk->regenerate();
  REQUIRE(desk.until([&] { return desk.view().messages[1].n_versions == 2; }));
  kill(desk->engine_process_id(), SIGKILL);
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  CHECK(desk.view().messages[1].note.starts_with("cut off"));
  desk->choose_version(desk.view().messages[1].id, 0);
  CHECK(desk.shown() == std::vector<std::string>{"user: hello", "assistant: " + first});
  // An answer that was cut off counts as a version, so the next one is the third.
  desk->choose_version(desk.view().messages[1].id, 1);
  desk->regenerate();
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  CHECK(desk.view().messages[1].n_versions == 3);
  CHECK(desk.view().messages[1].note.empty());
}

TEST_CASE("Regenerate shows another answer, on disk too") {
  Desk desk;
  desk.open_and_load();
  desk.say("hello");
  const std::string first = desk.view().messages[1].content;
  desk->regenerate();
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  REQUIRE(desk.view().messages.size() == 2);
  CHECK(desk.view().messages[1].content != first);
  REQUIRE(desk.stored().size() == 2);
  CHECK(desk.stored()[1].content == desk.view().messages[1].content);
}

TEST_CASE("the old answer stays until the first token of the new one is there") {
  Desk desk("--prefill-ms 300");
  desk.open_and_load();
  desk.say("hello");
  const std::string first = desk.view().messages[1].content;
  desk->regenerate();
  REQUIRE(desk.until([&] { return desk->mirror().turn().has_value(); }));
  desk->stop();
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  REQUIRE(desk.view().messages.size() == 2);
  CHECK(desk.view().messages[1].content == first);
  CHECK(desk.stored()[1].content == first);
  CHECK(desk.has_banner("no other answer"));
}

TEST_CASE("chats are renamed, deleted and brought back") {
  Desk desk;
  desk.open_and_load();
  desk.say("first");
  desk->new_chat();
  CHECK(desk.view().messages.empty());
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  desk.say("second");
  REQUIRE(desk.view().chats.size() == 2);
  const int64_t second = desk.view().chats[0].id, first = desk.view().chats[1].id;

  desk->rename_chat(first, "  a new\nname");
  CHECK(desk.view().chats[1].title == "a new");

  desk->delete_chat(second);  // the one that is open
  CHECK(desk.view().open_chat == 0);
  CHECK(desk.view().messages.empty());
  REQUIRE(desk.view().chats.size() == 1);
  CHECK(desk.view().banners.back().offers_undo);
  desk->undo_delete();
  CHECK(desk.view().chats.size() == 2);
  CHECK_FALSE(desk.has_banner("deleted"));
  desk->open_chat(second);
  CHECK(desk.view().messages.size() == 2);
  desk->delete_chat(first);
  CHECK(desk.view().messages.size() == 2);
  desk->open_chat(first);  // as from an outdated list
  CHECK(desk.view().open_chat == second);
  desk.open();
  CHECK(desk.view().chats.size() == 1);
}

TEST_CASE("another chat, another model or the trash while an answer is written: what was written stays") {
  Desk desk("--tokens-per-second 200 --answer-tokens 100000");
  desk.open_and_load();
  desk->send("long");
  REQUIRE(desk.until([&] { return desk.has_answer_of(40); }));
  const int64_t chat = desk.view().open_chat;
  std::string note;
  SECTION("another chat") {
    desk->new_chat();
    CHECK(desk.view().messages.empty());
    note = "stopped: another chat was opened";
  }
  SECTION("another model") {
    desk->open_model("other.gguf");
    note = "stopped: another model was opened";
  }
  SECTION("the trash, and back again") {
    desk->delete_chat(chat);
    desk->undo_delete();
    note = "stopped: another chat was opened";
  }
  REQUIRE(desk.until([&] { return desk.view().can_send && !desk->mirror().turn(); }));
  desk->open_chat(chat);
  REQUIRE(desk.view().messages.size() == 2);
  CHECK(desk.view().messages[1].content.size() >= 40);
  CHECK(desk.view().messages[1].note == note);
  CHECK(desk.stored()[1].content == desk.view().messages[1].content);
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  desk->send("and on");
  REQUIRE(desk.until([&] { return desk.view().messages.size() == 4; }));
  CHECK(desk.view().messages[2].content == "and on");
}

TEST_CASE("a model that is refused changes nothing: the answer that is being written goes on") {
  Desk desk("--tokens-per-second 200 --answer-tokens 100000");
  desk.open_and_load();
  desk->send("long");
  REQUIRE(desk.until([&] { return desk.has_answer_of(40); }));
  desk->open_model("refused.gguf");
  REQUIRE(desk.until([&] { return desk.has_banner("'unheard'"); }));
  CHECK(desk.has_banner("fake is still open"));
  CHECK(desk->mirror().turn());
  const size_t n_bytes = desk.view().messages.back().content.size();
  REQUIRE(desk.until([&] { return desk.has_answer_of(n_bytes + 40); }));
  desk->stop();
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  CHECK(desk.view().messages.back().note.find("another model") == std::string::npos);
  CHECK(desk->mirror().model()->path == "fake.gguf");
}

TEST_CASE("words of a turn that was left do not reach the chat that is open now") {
  Desk desk("--tokens-per-second 500 --answer-tokens 100000");
  desk.open_and_load();
  for (int i = 0; i < 20; ++i) {
    REQUIRE(desk.until([&] { return desk.view().can_send; }));
    desk->send("question " + std::to_string(i));
    desk.poll_for(i);
    desk->new_chat();
    CHECK(desk.view().messages.empty());
    desk->poll();
    CHECK(desk.view().messages.empty());
  }
  CHECK(desk.view().chats.size() == 20);
}

TEST_CASE("opening a model can be cancelled, and another one opened meanwhile") {
  Desk desk("--load-ms 1000");
  desk.open();
  CHECK(desk.view().cannot_send_why == "The model is being opened.");
  REQUIRE(desk.until([&] { return desk->mirror().is_loading(); }));
  SECTION("cancelled") {
    desk->cancel_load();
    REQUIRE(desk.until([&] { return desk.has_banner("cancelled"); }));
    CHECK(desk.view().cannot_send_why == "No model is open.");
  }
  SECTION("another one") {
    desk->open_model("other.gguf");
    REQUIRE(desk.until([&] { return desk.view().can_send; }));
    CHECK(desk->mirror().model()->path == "other.gguf");
    CHECK_FALSE(desk.has_banner("cancelled"));
  }
}

TEST_CASE("a refused model keeps the engine, says why, and another one can be opened") {
  Desk desk;
  desk.options.model_path = "refused.gguf";
  desk.open();
  REQUIRE(desk.until([&] { return desk.has_banner("'unheard'"); }));
  const int engine = desk->engine_process_id();
  CHECK(desk.view().engine_is_running);
  CHECK(desk.view().cannot_send_why == "No model is open.");
  desk->open_model("good.gguf");
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  CHECK(desk->engine_process_id() == engine);
}

TEST_CASE("a refused model leaves the one that is open, its chat, and what a new start opens") {
  Desk desk;
  desk.open_and_load();
  desk.say("hello");
  const std::string path = desk->mirror().model()->path;
  const int32_t n_cached = desk->mirror().n_cached();
  SECTION("refused by what is in its file") {
    desk->open_model("refused.gguf");
    REQUIRE(desk.until([&] { return desk.has_banner("'unheard'"); }));
    CHECK(desk.has_banner("fake is still open."));
    REQUIRE(desk.until([&] { return desk.view().can_send; }));
    CHECK(desk->mirror().n_cached() == n_cached);
    CHECK(desk->mirror().last_action() == "first_turn");
  }
  SECTION("found to be too large when the other one had made room") {
    desk->open_model("too large.gguf");
    REQUIRE(desk.until([&] { return desk.has_banner("fake is open again."); }));
    CHECK(desk.has_banner("no memory left"));
    REQUIRE(desk.until([&] { return desk.view().can_send; }));
    CHECK(desk->mirror().n_cached() > 0);  // the chat was prefilled again
  }
  CHECK(desk->mirror().model()->path == path);
  desk.say("and then?");
  CHECK(desk.view().messages.size() == 4);
  desk->restart_engine();
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  CHECK(desk->mirror().model()->path == path);
}

TEST_CASE("another configuration reaches the engine, at once or when it is idle") {
  Desk desk("--tokens-per-second 200");
  desk.open_and_load();
  CacheConfig config = *find_cache_config("h2o");
  SECTION("with an empty cache, before the first message") {
    desk->apply_config(config);
    desk.say("hello");
  }
  SECTION("after an answer") {
    desk.say("hello");
    desk->apply_config(config);
    REQUIRE(desk.until([&] { return desk->mirror().config().name == "h2o"; }));
    CHECK(desk.view().messages.size() == 2);
  }
  SECTION("while an answer is written") {
    desk->send("hello");
    REQUIRE(desk.until([&] { return desk.has_answer_of(10); }));
    desk->apply_config(config);
  }
  REQUIRE(desk.until([&] { return desk.view().can_send && desk->mirror().config().name == "h2o"; }));
  CHECK(desk.view().messages[1].mirror_index == 1);
}

TEST_CASE("a table of importance goes with its model: another one is opened without it") {
  Desk desk;
  desk.open_and_load();
  desk.say("hello");
  CacheConfig config = *find_cache_config("headroom");
  config.head_importance = {0.5f, 0.5f, 1, 2};
  config.beta = 0.5;
  desk->apply_config(config);
  REQUIRE(desk.until([&] { return desk->mirror().config().head_importance.size() == 4; }));
  CHECK(desk->mirror().cache_note().empty());
  desk->open_model("another.gguf");
  REQUIRE(desk.until([&] { return desk.view().can_send && desk->mirror().model()->path == "another.gguf"; }));
  CHECK(desk->mirror().config().name == "headroom");
  CHECK(desk->mirror().config().head_importance.empty());
  CHECK_FALSE(desk->mirror().cache_note().empty());
}

TEST_CASE("two windows on one database: the second reads and says so") {
  Desk desk;
  desk.open_and_load();
  desk.say("hello");
  ControllerOptions options = desk.options;
  Controller second(options);
  CHECK(second.view().is_read_only);
  REQUIRE(second.view().banners.size() == 1);
  CHECK(second.view().banners[0].text.find("Another window") != std::string::npos);
  REQUIRE(second.view().chats.size() == 1);
  second.open_chat(second.view().chats[0].id);
  CHECK(second.view().messages.size() == 2);
  second.send("me too");
  second.rename_chat(second.view().chats[0].id, "mine");
  second.delete_chat(second.view().chats[0].id);
  CHECK(second.view().chats[0].title == "hello");
  CHECK(desk.stored().size() == 2);
}

TEST_CASE("chats that cannot be saved: the chat goes on and a banner says so") {
  Desk desk;
  std::filesystem::create_directories(desk.options.chats_path);  // a folder in its place
  desk.open_and_load();
  CHECK_FALSE(desk.view().is_read_only);
  CHECK(desk.has_banner("not saved"));
  desk.say("hello");
  desk.say("again");
  REQUIRE(desk.view().messages.size() == 4);
  CHECK(desk.view().messages[0].id != desk.view().messages[2].id);
  CHECK(desk.view().messages[3].mirror_index == 3);
}

TEST_CASE("nothing changes while nothing happens") {
  Desk desk;
  desk.open_and_load();
  desk.say("hello");
  desk.poll_for(500);
  const uint64_t version = desk.view().version;
  for (int i = 0; i < 100; ++i) CHECK_FALSE(desk->poll());
  CHECK(desk.view().version == version);
}

TEST_CASE("closing the window in the middle of an answer keeps the text and takes less than a second") {
  Desk desk("--tokens-per-second 200 --answer-tokens 100000");
  desk.open_and_load();
  desk->send("go on");
  REQUIRE(desk.until([&] { return desk.has_answer_of(100); }));
  const std::string text = desk.view().messages.back().content;
  const auto start = std::chrono::steady_clock::now();
  desk->close();
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
  CHECK(desk.stored()[1].content == text);
  CHECK(desk.stored()[1].state == MessageState::stopped);
  desk.open();
  desk->open_chat(desk.view().chats[0].id);
  CHECK(desk.view().messages[1].note == "stopped: the window was closed");
}

TEST_CASE("what a panel asks of the program is passed on") {
  Desk desk;
  desk.open_and_load();
  std::string clipboard;
  int n_settings = 0, n_dialogs = 0;
  desk->on_set_clipboard = [&](const std::string& text) { clipboard = text; };
  desk->on_settings_changed = [&] { ++n_settings; };
  desk->on_choose_model = [&] { ++n_dialogs; };
  desk->set_clipboard("copied");
  desk->settings_changed();
  desk->choose_model();
  CHECK(clipboard == "copied");
  CHECK(n_settings == 1);
  CHECK(n_dialogs == 1);
  desk->quit();
  CHECK(desk->wants_to_quit());
}
