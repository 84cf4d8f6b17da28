// Versions of messages: another answer keeps the previous one, and any version can become part of the conversation.
// Files with the first tables, which had no versions, are converted to the present tables.
#include "app/chats/chat_store.h"
#include "app/chats/sqlite.h"
#include "app/chats/tables.h"
#include "engine/base/error.h"
#include "tests/chats/chats_folder.h"

using namespace headroom;
using namespace headroom::test;
using Texts = std::vector<std::string>;
using Ids = std::vector<int64_t>;
namespace fs = std::filesystem;

namespace {

int64_t add_answer(ChatStore& store, int64_t chat, const std::string& text, int64_t version_of = 0) {
  const int64_t answer = store.begin_answer(chat, version_of);
  store.append_answer(answer, text, {1});
  store.finish_answer(answer, MessageState::complete, "");
  return answer;
}

struct OldFolder : ChatsFolder {
  OldFolder() { fs::copy_file(HEADROOM_TEST_DATA "/chats/tables_1.sqlite", path()); }
};

}  // namespace

TEST_CASE("another answer is a version beside the one before, and both are there after opening") {
  const ChatsFolder here;
  int64_t chat = 0, first = 0, second = 0;
  {
    ChatStore store = here.open();
    chat = store.create_chat("");
    store.add_user_message(chat, "question");
    first = add_answer(store, chat, "first");
    second = add_answer(store, chat, "second", first);
    CHECK(contents(store, chat) == Texts{"question", "second"});
  }
  {
    ChatStore store = here.open();
    CHECK(contents(store, chat) == Texts{"question", "second"});
    CHECK(store.messages(chat)[0].versions.size() == 1);
    CHECK(store.messages(chat)[1].versions == Ids{first, second});
    store.choose_version(chat, first);
    CHECK(contents(store, chat) == Texts{"question", "first"});
  }
  ChatStore store = here.open();
  CHECK(contents(store, chat) == Texts{"question", "first"});
  CHECK(store.messages(chat)[1].versions == Ids{first, second});
  add_answer(store, chat, "third", second);
  CHECK(contents(store, chat) == Texts{"question", "third"});
  CHECK(store.messages(chat)[1].versions.size() == 3);
}

TEST_CASE("a version leads to the newest of what follows it") {
  const ChatsFolder here;
  ChatStore store = here.open();
  const int64_t chat = store.create_chat("");
  const int64_t question = store.add_user_message(chat, "q");
  const int64_t first = add_answer(store, chat, "a1");
  store.add_user_message(chat, "q2");
  add_answer(store, chat, "a2");
  // An edited message is a version too, and the conversation ends with it.
  store.add_user_message(chat, "q edited", question);
  CHECK(contents(store, chat) == Texts{"q edited"});
  add_answer(store, chat, "b1");
  store.choose_version(chat, question);
  CHECK(contents(store, chat) == Texts{"q", "a1", "q2", "a2"});
  add_answer(store, chat, "c1", first);
  CHECK(contents(store, chat) == Texts{"q", "c1"});
  store.choose_version(chat, first);
  CHECK(contents(store, chat) == Texts{"q", "a1", "q2", "a2"});
  const int64_t other = store.create_chat("");
  CHECK_THROWS_WITH(store.choose_version(other, first), Catch::Contains("no message"));
  CHECK_THROWS_WITH(store.begin_answer(other, first), Catch::Contains("no message"));
}

TEST_CASE("what is removed leaves the other versions") {
  const ChatsFolder here;
  ChatStore store = here.open();
  const int64_t chat = store.create_chat("");
  const int64_t question = store.add_user_message(chat, "q");
  const int64_t first = add_answer(store, chat, "a1");
  store.add_user_message(chat, "q2");
  const int64_t second = add_answer(store, chat, "b1", first);
  store.remove_messages_from(chat, second);
  CHECK(contents(store, chat) == Texts{"q"});
  store.choose_version(chat, first);
  CHECK(contents(store, chat) == Texts{"q", "a1", "q2"});
  store.remove_messages_from(chat, question);
  CHECK(store.messages(chat).empty());
  CHECK(here.sql("SELECT count(*) FROM messages") == "0");
}

TEST_CASE("what the model no longer reads is remembered with the chat, on every branch that begins with it") {
  const ChatsFolder here;
  int64_t chat = 0, first = 0;
  const auto dropped = [&](ChatStore& store) {
    std::vector<bool> flags;
    for (const StoredMessage& message : store.messages(chat)) flags.push_back(message.is_dropped);
    return flags;
  };
  {
    ChatStore store = here.open();
    chat = store.create_chat("");
    store.add_user_message(chat, "q1");
    first = add_answer(store, chat, "a1");
    store.add_user_message(chat, "q2");
    CHECK(dropped(store) == std::vector<bool>{false, false, false});
    store.drop_through(chat, first);
  }
  ChatStore store = here.open();
  CHECK(dropped(store) == std::vector<bool>{true, true, false});
  add_answer(store, chat, "another a1", first);
  CHECK(dropped(store) == std::vector<bool>{true, false});
  store.choose_version(chat, first);
  store.remove_messages_from(chat, first);
  store.choose_version(chat, store.messages(chat)[0].id);
  CHECK(dropped(store) == std::vector<bool>{true, false});
  CHECK_THROWS_WITH(store.drop_through(chat, 99), Catch::Contains("no message 99"));
}

TEST_CASE("a kill in the middle of another answer keeps both") {
  const ChatsFolder here;
  WaitingProcess(here, [](ChatStore& store) {
    const int64_t chat = store.create_chat("");
    store.add_user_message(chat, "q");
    const int64_t first = add_answer(store, chat, "first");
    store.append_answer(store.begin_answer(chat, first), "half", {2});
  }).kill_now();
  ChatStore store = here.open();
  const auto messages = store.messages(1);
  REQUIRE(messages.size() == 2);
  CHECK(messages[1].content == "half");
  CHECK(messages[1].state == MessageState::stopped);
  REQUIRE(messages[1].versions.size() == 2);
  store.choose_version(1, messages[1].versions[0]);
  CHECK(contents(store, 1) == Texts{"q", "first"});
}

TEST_CASE("a file of the first tables keeps everything") {
  const OldFolder here;
  REQUIRE(here.sql("PRAGMA user_version") == "1");
  for (int opening = 0; opening < 2; ++opening) {
    ChatStore store = here.open();
    CHECK_FALSE(store.read_only());
    CHECK(store.note().empty());
    REQUIRE(store.list().size() == 3);
    CHECK(store.list()[0].title == "Empty");
    CHECK(contents(store, 1) == Texts{"What is gravity?", "A force.", std::string(9000, 'x') + "\xff end", "Long."});
    CHECK(contents(store, 2) == Texts{"A poem", "Roses", "unanswered"});
    CHECK(store.messages(1)[1].ids == std::vector<int32_t>{5, 6, 7});
    CHECK(store.messages(1)[1].numbers == "3 tokens");
    CHECK(store.messages(1)[3].state == MessageState::failed);
    CHECK(store.messages(2)[1].state == MessageState::stopped);
    for (const StoredMessage& message : store.messages(1)) CHECK(message.versions == Ids{message.id});
  }
  CHECK(here.sql("PRAGMA user_version") == std::to_string(tables_version));
  CHECK(here.sql("PRAGMA integrity_check") == "ok");
  ChatStore store = here.open();
  CHECK(store.undo_delete(3));
  CHECK(contents(store, 3) == Texts{"gone"});
  const int64_t failed = store.messages(1)[3].id;
  add_answer(store, 1, "again", failed);
  CHECK(store.messages(1)[3].versions.size() == 2);
}

TEST_CASE("a file of the first tables that is damaged is salvaged into the present ones") {
  const OldFolder here;
  std::string bytes = here.bytes();
  std::fill_n(bytes.begin(), 100, 'x');
  here.write(bytes);
  ChatStore store = here.open();
  CHECK_THAT(store.note(), Catch::Contains("3 chats with 7 messages"));
  CHECK(contents(store, 1).size() == 4);
  CHECK(contents(store, 2) == Texts{"A poem", "Roses", "unanswered"});
}

TEST_CASE("a file of the first tables that cannot be changed is shown, and stays what it is") {
  const OldFolder here;
  const std::string bytes = here.bytes();
  const bool is_root = geteuid() == 0;
  fs::permissions(here.path(), fs::perms(0444));
  fs::permissions(here.folder(), fs::perms(0555));
  if (is_root) REQUIRE(seteuid(65534) == 0);
  {
    ChatStore store = here.open();
    CHECK(store.read_only());
    CHECK(contents(store, 2) == Texts{"A poem", "Roses", "unanswered"});
  }
  if (is_root) REQUIRE(seteuid(0) == 0);
  fs::permissions(here.folder(), fs::perms(0755));
  CHECK((here.bytes() == bytes));
}

TEST_CASE("new tables and those of an old file are the same, letter for letter") {
  const OldFolder old;
  old.open();
  const ChatsFolder fresh;
  fresh.open();
  const char* definitions = "SELECT type || name || coalesce(sql, '') FROM sqlite_schema ORDER BY type, name";
  CHECK(old.sql(definitions) == fresh.sql(definitions));
}

TEST_CASE("what the first tables cannot hold is refused by a program that knows only them") {
  const ChatsFolder here;
  here.open();
  // The numbers that a program of version 1 checks.
  CHECK(here.sql("PRAGMA user_version") > "1");
  CHECK(here.sql("PRAGMA application_id") == std::to_string(0x4864726d));
}
