// Files that are damaged, foreign, newer, unreadable or on a full disk: readable chats are shown, nothing is
// overwritten, and a sentence says what happened.
#include <sys/stat.h>
#include <unistd.h>

#include <random>

#include "app/chats/chat_store.h"
#include "app/chats/file_lock.h"
#include "app/chats/tables.h"
#include "engine/base/error.h"
#include "tests/chats/chats_folder.h"
#include "tests/support/full_disk.h"

using namespace headroom;
using namespace headroom::test;
using Texts = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

constexpr int n_chats = 40;
constexpr int n_messages = 10;  // per chat

std::string message_text(int chat, int message) {
  return "chat " + std::to_string(chat) + " message " + std::to_string(message) + " " + std::string(500, 'x');
}

void fill(ChatStore& store) {
  for (int chat = 0; chat < n_chats; ++chat) {
    const int64_t id = store.create_chat("title " + std::to_string(chat));
    for (int message = 0; message < n_messages; ++message) {
      if (message % 2 == 0) {
        store.add_user_message(id, message_text(chat, message));
      } else {
        const int64_t answer = store.begin_answer(id);
        store.append_answer(answer, message_text(chat, message), {chat, message});
        store.finish_answer(answer, MessageState::complete, "{}");
      }
    }
  }
}

// Number of messages that still have their original content.
int n_intact(ChatStore& store) {
  int n = 0;
  for (const ChatSummary& chat : store.list()) {
    for (const StoredMessage& message : store.messages(chat.id)) {
      const int number = static_cast<int>(chat.id) - 1;
      for (int i = 0; i < n_messages; ++i) n += message.content == message_text(number, i) ? 1 : 0;
    }
  }
  return n;
}

std::string noise(size_t n_bytes) {
  std::mt19937 random(7);
  std::string bytes(n_bytes, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// Opens the damaged file, which must be set aside unchanged; returns the number of recovered messages.
int n_salvaged(const ChatsFolder& here) {
  const std::string damaged = here.bytes();
  int n = 0;
  {
    ChatStore store = here.open();
    CHECK_FALSE(store.read_only());
    CHECK_THAT(store.note(), Catch::Contains("damaged") && Catch::Contains("chats.sqlite.damaged-1"));
    CHECK((here.bytes(".damaged-1") == damaged));
    n = n_intact(store);
    CHECK(contents(store, store.create_chat("new")).empty());
  }
  CHECK_FALSE(here.exists(".new"));
  CHECK_FALSE(here.exists(".salvage"));
  CHECK(here.sql("PRAGMA integrity_check") == "ok");
  ChatStore again = here.open();
  CHECK(again.note().empty());
  CHECK_FALSE(here.exists(".damaged-2"));
  CHECK(n_intact(again) == n);
  return n;
}

// File modes do not restrict root, so the process becomes the user nobody while this object lives.
class AsNobody {
 public:
  AsNobody() : was_root_(geteuid() == 0 && seteuid(65534) == 0) {}
  ~AsNobody() {
    if (was_root_ && seteuid(0) != 0) std::abort();
  }
  AsNobody(const AsNobody&) = delete;
  AsNobody& operator=(const AsNobody&) = delete;

 private:
  bool was_root_;
};

// The filled database is made once, since its hundreds of syncs to disk can take seconds.
struct Filled {
  std::string closed;
  std::string killed, killed_log;  // as a killed window leaves them: the newest data is only in the log

  static const Filled& get() {
    static const Filled filled = [] {
      const ChatsFolder here;
      Filled made;
      {
        ChatStore store = here.open();
        fill(store);
        store.append_answer(store.begin_answer(1), "unfinished", {9});
        made.killed = here.bytes();
        made.killed_log = here.bytes("-wal");
        store.remove_messages_from(1, n_chats * n_messages + 1);
      }
      made.closed = here.bytes();
      return made;
    }();
    return filled;
  }
};

struct FilledFolder : ChatsFolder {
  FilledFolder() { write(Filled::get().closed); }
};

struct FolderWithLog : ChatsFolder {
  FolderWithLog() {
    write(Filled::get().killed);
    write(Filled::get().killed_log, "-wal");
  }
};

}  // namespace

TEST_CASE("an empty file is a new database") {
  const ChatsFolder here;
  here.write("");
  ChatStore store = here.open();
  CHECK_FALSE(store.read_only());
  CHECK(store.note().empty());
  CHECK(store.create_chat("x") == 1);
}

TEST_CASE("a damaged header costs nothing") {
  const FilledFolder here;
  const size_t n_bytes = GENERATE(1, 16, 100, 4096);
  std::string bytes = here.bytes();
  bytes.replace(0, n_bytes, noise(n_bytes));
  here.write(bytes);
  CHECK(n_salvaged(here) == n_chats * n_messages);
}

TEST_CASE("a page of noise costs the rows of this page") {
  const FilledFolder here;
  std::string bytes = here.bytes();
  const size_t n_pages = bytes.size() / 4096;
  const size_t page = GENERATE_COPY(n_pages / 4, n_pages / 2, n_pages - 2);
  bytes.replace(page * 4096, 4096, noise(4096));
  here.write(bytes);
  CHECK(n_salvaged(here) >= n_chats * n_messages - 10);
}

TEST_CASE("a truncated file is read as far as it goes") {
  const FilledFolder here;
  std::string bytes = here.bytes();
  const size_t n_bytes = bytes.size() / 2 + 1000;
  bytes.resize(n_bytes);
  here.write(bytes);
  CHECK(n_salvaged(here) >= n_chats * n_messages / 3);
}

TEST_CASE("damage in any page ends in a database that opens, with most of the chats") {
  const FilledFolder here;
  const std::string intact = here.bytes();
  const size_t n_pages = intact.size() / 4096;
  std::mt19937 random(11);
  // The tables begin on the first pages. Page 1 is damaged more than once, since each of its bytes means something
  // else.
  for (size_t step = 0, page = 0; page < n_pages; page = ++step < 20 ? 0 : page + 1 + page / 12) {
    INFO("page " << page + 1 << " of " << n_pages);
    const ChatsFolder copy;
    std::string bytes = intact;
    for (int i = 0; i < 40; ++i) bytes[page * 4096 + random() % 4096] = static_cast<char>(random());
    copy.write(bytes);
    {
      ChatStore store = copy.open();
      CHECK_FALSE(store.read_only());
      CHECK(n_intact(store) >= n_chats * n_messages - 10);
    }
    CHECK(copy.sql("PRAGMA integrity_check") == "ok");
  }
}

TEST_CASE("messages whose chat is lost are found under a new title") {
  const FilledFolder here;
  std::string bytes = here.bytes();
  // The table of chats begins on the second page of the file.
  bytes.replace(4096, 4096, noise(4096));
  here.write(bytes);
  CHECK(n_salvaged(here) == n_chats * n_messages);
  ChatStore store = here.open();
  CHECK(store.list().back().title == "Recovered chat");
}

TEST_CASE("a log beside a damaged file is read, and kept with it") {
  const ChatsFolder here;
  {
    const ChatsFolder other;
    ChatStore store = other.open();
    const int64_t chat = store.create_chat("x");
    for (int message = 0; message < n_messages; ++message) store.add_user_message(chat, message_text(0, message));
    here.write(other.bytes("-wal"), "-wal");
  }
  const std::string log = here.bytes("-wal");
  SECTION("an empty file") {
    here.write("");
  }
  SECTION("a file of noise") {
    here.write(noise(20'000));
  }
  ChatStore store = here.open();
  CHECK_FALSE(store.read_only());
  CHECK(n_intact(store) == n_messages);
  CHECK_THAT(store.note(), Catch::Contains("damaged-1"));
  CHECK((here.bytes(".damaged-1-wal") == log));
}

TEST_CASE("the file of another program is set aside, not overwritten") {
  const ChatsFolder here;
  SECTION("text") {
    here.write("Dear diary,\n" + std::string(20'000, 'x'));
  }
  SECTION("another SQLite database") {
    here.sql("CREATE TABLE messages(a); INSERT INTO messages VALUES (1)");
  }
  CHECK(n_salvaged(here) == 0);
}

TEST_CASE("chats are carried over without what was added to their file") {
  const FilledFolder here;
  here.sql("CREATE TRIGGER t AFTER INSERT ON chats BEGIN DELETE FROM chats; END");
  CHECK(n_salvaged(here) == n_chats * n_messages);
  CHECK(here.sql("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'") == "0");
}

TEST_CASE("files set aside before keep their names") {
  const ChatsFolder here;
  here.write("first");
  here.open();
  here.write("second");
  CHECK_THAT(here.open().note(), Catch::Contains("damaged-2"));
  CHECK(here.bytes(".damaged-1") == "first");
  CHECK(here.bytes(".damaged-2") == "second");
}

TEST_CASE("a newer version's file is refused and left as it is") {
  const FilledFolder here;
  // A new version of the tables sets both numbers; if only one differs, the file counts as damaged.
  const std::string next = std::to_string(tables_version + 1);
  here.sql("PRAGMA user_version=" + next + "; DROP VIEW tables_version; CREATE VIEW tables_version AS SELECT " + next +
           " AS number");
  const std::string bytes = here.bytes();
  {
    ChatStore store = here.open();
    CHECK(store.read_only());
    CHECK_THAT(store.note(), Catch::Contains("newer version"));
    CHECK(store.list().empty());
    CHECK_THROWS_WITH(store.create_chat("x"), store.note());
  }
  CHECK((here.bytes() == bytes));
  CHECK_FALSE(here.exists(".damaged-1"));
}

TEST_CASE("what is no file is left alone") {
  const ChatsFolder here;
  SECTION("a folder") {
    fs::create_directory(here.path());
  }
  SECTION("a device") {
    fs::create_symlink(GENERATE(as<std::string>(), "/dev/null", "/dev/zero"), here.path());
  }
  SECTION("a named pipe") {
    REQUIRE(mkfifo(here.path().c_str(), 0600) == 0);
  }
  SECTION("a named pipe in a second window") {
    REQUIRE(mkfifo(here.path().c_str(), 0600) == 0);
    const auto first = FileLock::try_take(here.path() + ".lock");
    REQUIRE(first);
    ChatStore store = here.open();
    CHECK(store.read_only());
    CHECK_THAT(store.note(), Catch::Contains("named pipe"));
    return;
  }
  SECTION("below a file") {
    here.write("x");
    ChatStore store = ChatStore::open(here.path() + "/chats.sqlite");
    CHECK(store.read_only());
    return;
  }
  ChatStore store = here.open();
  CHECK(store.read_only());
  CHECK_THAT(store.note(), Catch::Contains("Chats are not saved"));
  CHECK(store.list().empty());
  CHECK(fs::exists(here.path()));
}

TEST_CASE("what is no file beside the chats keeps them from being changed, not from being shown") {
  const FilledFolder here;
  const std::string bytes = here.bytes();
  const std::string suffix = GENERATE(as<std::string>(), "-wal", "-shm", "-journal", ".lock");
  const int kind = GENERATE(0, 1, 2);
  const std::string path = here.path() + suffix;
  if (kind == 0) REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  if (kind == 1) fs::create_directory(path);
  if (kind == 2) fs::create_symlink("/dev/zero", path);
  ChatStore store = here.open();
  CHECK(store.read_only());
  CHECK_THAT(store.note(), Catch::Contains("expected a file") && Catch::Contains(suffix));
  CHECK(n_intact(store) == n_chats * n_messages);
  CHECK((here.bytes() == bytes));
}

TEST_CASE("a file of a size that no chats reach is left where it is") {
  const ChatsFolder here;
  here.write("noise");
  fs::resize_file(here.path(), uint64_t{1} << 40);  // a sparse file
  ChatStore store = here.open();
  CHECK(store.read_only());
  CHECK_THAT(store.note(), Catch::Contains("1099511627776 bytes"));
  CHECK(fs::file_size(here.path()) == uint64_t{1} << 40);
}

TEST_CASE("a link stays a link when the damaged file behind it is set aside") {
  const ChatsFolder here;
  fs::create_directory(here.folder() + "/real");
  std::ofstream(here.folder() + "/real/chats") << "noise";
  fs::create_symlink(here.folder() + "/real/chats", here.path());
  CHECK_FALSE(here.open().read_only());
  CHECK(fs::is_symlink(here.path()));
  CHECK(fs::exists(here.folder() + "/real/chats.damaged-1"));
}

TEST_CASE("without the right to write, chats are shown") {
  const FilledFolder filled;
  const FolderWithLog with_log;
  const ChatsFolder& here = GENERATE_REF(as<int>(), 0, 1) == 0 ? static_cast<const ChatsFolder&>(filled) : with_log;
  const std::string bytes = here.bytes();
  const std::string log = here.bytes("-wal");
  for (const char* suffix : {"", "-wal", ".lock"}) {
    if (here.exists(suffix)) fs::permissions(here.path() + suffix, fs::perms(0444));
  }
  fs::permissions(here.folder(), fs::perms(0555));
  {
    const AsNobody nobody;
    ChatStore store = here.open();
    CHECK(store.read_only());
    CHECK_THAT(store.note(), Catch::Contains("Permission denied"));
    CHECK(n_intact(store) == n_chats * n_messages);
    CHECK_THROWS_WITH(store.create_chat("x"), store.note());
    for (const StoredMessage& message : store.messages(1)) CHECK(message.state != MessageState::streaming);
  }
  fs::permissions(here.folder(), fs::perms(0755));
  CHECK((here.bytes() == bytes));
  CHECK((here.bytes("-wal") == log));
}

TEST_CASE("a full disk gives a sentence, keeps what was there, and heals") {
  const ChatsFolder here;
  ChatStore store = here.open();
  const int64_t chat = store.create_chat("x");
  store.add_user_message(chat, "before");
  const int64_t answer = store.begin_answer(chat);
  store.append_answer(answer, "one ", {1});
  {
    const FullDisk full(here.bytes("-wal").size());
    CHECK_THROWS_AS(store.add_user_message(chat, "refused"), Error);
    CHECK_THROWS_AS(store.create_chat("refused"), Error);
    CHECK_THROWS_AS(store.append_answer(answer, "two ", {2}), Error);
    CHECK_THROWS_AS(store.append_answer(answer, "three ", {3}), Error);
    CHECK_THROWS_AS(store.finish_answer(answer, MessageState::complete, ""), Error);
    CHECK(contents(store, chat) == Texts{"before", "one two three "});
    CHECK(store.list().size() == 1);
  }
  store.append_answer(answer, "four", {4});
  store.finish_answer(answer, MessageState::complete, "");
  CHECK(contents(store, chat) == Texts{"before", "one two three four"});
  CHECK(store.messages(chat)[1].ids == std::vector<int32_t>{1, 2, 3, 4});
  store.add_user_message(chat, "after");
  CHECK(here.sql("PRAGMA integrity_check") == "ok");
}

TEST_CASE("a disk that is full from the start shows the chats") {
  const FilledFolder filled;
  const FolderWithLog with_log;
  const ChatsFolder& here = GENERATE_REF(as<int>(), 0, 1) == 0 ? static_cast<const ChatsFolder&>(filled) : with_log;
  const std::string bytes = here.bytes();
  {
    const FullDisk full(0);
    ChatStore store = here.open();
    CHECK(store.read_only());
    CHECK_THAT(store.note(), Catch::Contains("Chats are not saved"));
    CHECK(n_intact(store) == n_chats * n_messages);
  }
  CHECK((here.bytes() == bytes));
  ChatStore store = here.open();
  CHECK_FALSE(store.read_only());
  CHECK(n_intact(store) == n_chats * n_messages);
}

TEST_CASE("a damaged file on a full disk stays where it is") {
  const FilledFolder here;
  std::string bytes = here.bytes();
  const size_t middle = bytes.size() / 2 / 4096 * 4096;
  bytes.replace(middle, 4096, noise(4096));
  here.write(bytes);
  {
    const FullDisk full(8192);
    ChatStore store = here.open();
    CHECK(store.read_only());
    CHECK_THAT(store.note(), Catch::Contains("Chats are not saved"));
    CHECK(store.list().size() == n_chats);
  }
  CHECK((here.bytes() == bytes));
  CHECK_FALSE(here.exists(".damaged-1"));
  CHECK(n_salvaged(here) >= n_chats * n_messages - 10);
}
