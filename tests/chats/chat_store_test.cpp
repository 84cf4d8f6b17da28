// Every function of the chat store: results after closing and opening again, any bytes as text, more than one window.
#include "app/chats/chat_store.h"

#include "engine/base/error.h"
#include "tests/chats/chats_folder.h"

using namespace headroom;
using namespace headroom::test;
using Texts = std::vector<std::string>;

TEST_CASE("a new file is empty, private and writable") {
  const ChatsFolder here;
  ChatStore store = here.open();
  CHECK_FALSE(store.read_only());
  CHECK(store.note().empty());
  CHECK(store.list().empty());
  CHECK(store.messages(1).empty());
  namespace fs = std::filesystem;
  for (const char* suffix : {"", "-wal", "-shm", ".lock"}) {
    INFO(suffix);
    CHECK((fs::status(here.path() + suffix).permissions() & fs::perms(0077)) == fs::perms::none);
  }
}

TEST_CASE("missing folders are made") {
  const ChatsFolder here;
  CHECK_FALSE(ChatStore::open(here.folder() + "/a/b c%20?#/chats.sqlite").read_only());
  CHECK(std::filesystem::exists(here.folder() + "/a/b c%20?#/chats.sqlite"));
}

TEST_CASE("a conversation is there again after opening") {
  const ChatsFolder here;
  int64_t chat = 0;
  {
    ChatStore store = here.open();
    chat = store.create_chat("Gravity");
    store.add_user_message(chat, "What is gravity?");
    const int64_t answer = store.begin_answer(chat);
    store.append_answer(answer, "A for", {5, -1});
    CHECK(store.messages(chat).back().state == MessageState::streaming);
    CHECK(store.messages(chat).back().content == "A for");
    store.append_answer(answer, "ce.", {2'000'000'000});
    store.finish_answer(answer, MessageState::complete, R"({"tokens":3})");
    CHECK(here.sql("SELECT count(*) FROM pieces") == "0");
  }
  CHECK_FALSE(here.exists("-wal"));
  ChatStore store = here.open();
  CHECK(store.note().empty());
  REQUIRE(store.list().size() == 1);
  CHECK(store.list()[0].title == "Gravity");
  CHECK(store.list()[0].n_messages == 2);
  const auto messages = store.messages(chat);
  REQUIRE(messages.size() == 2);
  CHECK(messages[0].role == "user");
  CHECK(messages[0].content == "What is gravity?");
  CHECK(messages[0].ids.empty());
  CHECK(messages[0].state == MessageState::complete);
  CHECK(messages[1].role == "assistant");
  CHECK(messages[1].content == "A force.");
  CHECK(messages[1].ids == std::vector<int32_t>{5, -1, 2'000'000'000});
  CHECK(messages[1].state == MessageState::complete);
  CHECK(messages[1].numbers == R"({"tokens":3})");
  CHECK(messages[0].created_ms > 1'600'000'000'000);
  CHECK(messages[1].created_ms <= store.list()[0].updated_ms);
}

TEST_CASE("each end of an answer is kept as it was") {
  const ChatsFolder here;
  const auto state = GENERATE(MessageState::complete, MessageState::stopped, MessageState::failed);
  int64_t chat = 0;
  {
    ChatStore store = here.open();
    chat = store.create_chat("");
    store.finish_answer(store.begin_answer(chat), state, "n");
  }
  ChatStore store = here.open();
  REQUIRE(store.messages(chat).size() == 1);
  CHECK(store.messages(chat)[0].state == state);
  CHECK(store.messages(chat)[0].content.empty());
}

TEST_CASE("content and titles are bytes") {
  const ChatsFolder here;
  std::string all_bytes;
  for (int byte = 0; byte < 256; ++byte) all_bytes += static_cast<char>(byte);
  const Texts texts = {"",
                       std::string(1, '\0'),
                       std::string("a\0b", 3),
                       "\xff\xfe broken \xc3",
                       all_bytes,
                       "'); DROP TABLE messages; --",
                       "👩‍👩‍👧 Ελληνικά 漢字",
                       std::string(1'000'000, 'x') + "end"};
  int64_t chat = 0;
  int64_t answer_chat = 0;
  {
    ChatStore store = here.open();
    chat = store.create_chat(all_bytes);
    answer_chat = store.create_chat("");
    for (const std::string& text : texts) {
      store.add_user_message(chat, text);
      const int64_t answer = store.begin_answer(answer_chat);
      store.append_answer(answer, text, {1});
      store.append_answer(answer, text, {});
      store.finish_answer(answer, MessageState::complete, text);
    }
  }
  ChatStore store = here.open();
  CHECK(store.list()[1].title == all_bytes);
  CHECK((contents(store, chat) == texts));
  const auto answers = store.messages(answer_chat);
  REQUIRE(answers.size() == texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    CHECK((answers[i].content == texts[i] + texts[i]));
    CHECK((answers[i].numbers == texts[i]));
    CHECK(answers[i].ids == std::vector<int32_t>{1});
  }
}

TEST_CASE("the chat with the last message is first, a new name moves none") {
  const ChatsFolder here;
  int64_t old_chat = 0;
  {
    ChatStore store = here.open();
    old_chat = store.create_chat("old");
    const int64_t new_chat = store.create_chat("new");
    here.sql("UPDATE chats SET updated_ms = 1000 * id");
    store.rename_chat(old_chat, "renamed");
    CHECK(store.list()[0].id == new_chat);
    store.add_user_message(old_chat, "again");
  }
  ChatStore store = here.open();
  REQUIRE(store.list().size() == 2);
  CHECK(store.list()[0].id == old_chat);
  CHECK(store.list()[0].title == "renamed");
}

TEST_CASE("a deleted chat is hidden, comes back, and is purged for good") {
  const ChatsFolder here;
  int64_t chat = 0;
  {
    ChatStore store = here.open();
    chat = store.create_chat("secret title");
    store.add_user_message(chat, "secret words");
    store.finish_answer(store.begin_answer(chat), MessageState::complete, "");
    store.delete_chat(chat);
    CHECK(store.list().empty());
  }
  {
    ChatStore store = here.open();
    CHECK(store.list().empty());
    store.purge_deleted(60'000);
    CHECK(store.undo_delete(chat));
    CHECK(store.list().size() == 1);
    CHECK(contents(store, chat) == Texts{"secret words", ""});
    store.purge_deleted();
    CHECK(store.list().size() == 1);
    store.delete_chat(chat);
    store.purge_deleted();
    CHECK_FALSE(store.undo_delete(chat));
    CHECK(store.messages(chat).empty());
    CHECK(store.create_chat("next") > chat);
  }
  CHECK(here.bytes().find("secret") == std::string::npos);
  CHECK(here.sql("SELECT count(*) FROM messages") == "0");
}

TEST_CASE("messages are removed from one on, in their chat only") {
  const ChatsFolder here;
  ChatStore store = here.open();
  const int64_t chat = store.create_chat("");
  const int64_t other = store.create_chat("");
  store.add_user_message(chat, "1");
  const int64_t second = store.add_user_message(chat, "2");
  store.add_user_message(other, "other");
  store.add_user_message(chat, "3");
  store.remove_messages_from(chat, second);
  CHECK(contents(store, chat) == Texts{"1"});
  CHECK(contents(store, other) == Texts{"other"});
}

TEST_CASE("what does not exist is an error, and the store goes on") {
  const ChatsFolder here;
  ChatStore store = here.open();
  CHECK_THROWS_WITH(store.add_user_message(7, "x"), Catch::Contains("no chat 7"));
  CHECK_THROWS_AS(store.begin_answer(7), Error);
  CHECK_THROWS_AS(store.rename_chat(7, "x"), Error);
  CHECK_THROWS_AS(store.delete_chat(7), Error);
  CHECK_FALSE(store.undo_delete(7));
  CHECK_THROWS_AS(store.append_answer(7, "x", {}), Error);
  CHECK_THROWS_AS(store.finish_answer(7, MessageState::complete, ""), Error);
  CHECK_THROWS_AS(store.choose_version(7, 7), Error);
  const int64_t chat = store.create_chat("x");
  CHECK_THROWS_AS(store.append_answer(store.add_user_message(chat, "user"), "x", {}), Error);
  CHECK(contents(store, chat) == Texts{"user"});
}

TEST_CASE("a second window reads, says why, and never writes") {
  const ChatsFolder here;
  auto first = std::make_unique<ChatStore>(here.open());
  const int64_t chat = first->create_chat("shared");
  const int64_t answer = first->begin_answer(chat);
  first->append_answer(answer, "so ", {1});
  ChatStore second = here.open();
  CHECK(second.read_only());
  CHECK_THAT(second.note(), Catch::Contains("Another window"));
  CHECK(second.list().size() == 1);
  CHECK(second.messages(chat)[0].state == MessageState::streaming);
  first->append_answer(answer, "far", {2});
  CHECK(contents(second, chat) == Texts{"so far"});
  CHECK_THROWS_WITH(second.create_chat("x"), second.note());
  CHECK_THROWS_AS(second.rename_chat(chat, "x"), Error);
  CHECK_THROWS_AS(second.delete_chat(chat), Error);
  CHECK_THROWS_AS(second.undo_delete(chat), Error);
  CHECK_THROWS_AS(second.purge_deleted(), Error);
  CHECK_THROWS_AS(second.add_user_message(chat, "x"), Error);
  CHECK_THROWS_AS(second.begin_answer(chat), Error);
  CHECK_THROWS_AS(second.append_answer(answer, "x", {}), Error);
  CHECK_THROWS_AS(second.finish_answer(answer, MessageState::complete, ""), Error);
  CHECK_THROWS_AS(second.remove_messages_from(chat, 1), Error);
  CHECK_THROWS_AS(second.choose_version(chat, 1), Error);
  first->finish_answer(answer, MessageState::complete, "");
  CHECK(second.messages(chat)[0].state == MessageState::complete);
  first.reset();
  CHECK(contents(second, chat) == Texts{"so far"});
  CHECK_FALSE(here.open().read_only());
}

TEST_CASE("an answer that was never finished is found stopped") {
  const ChatsFolder here;
  int64_t chat = 0;
  {
    ChatStore store = here.open();
    chat = store.create_chat("");
    const int64_t answer = store.begin_answer(chat);
    store.append_answer(answer, "half an", {1, 2});
    store.append_answer(answer, " ans", {3});
    store.begin_answer(chat);
  }
  ChatStore store = here.open();
  const auto messages = store.messages(chat);
  REQUIRE(messages.size() == 2);
  CHECK(messages[0].state == MessageState::stopped);
  CHECK(messages[0].content == "half an ans");
  CHECK(messages[0].ids == std::vector<int32_t>{1, 2, 3});
  CHECK(messages[1].state == MessageState::stopped);
  CHECK(here.sql("SELECT count(*) FROM pieces") == "0");
}
