// Everything in a damaged file is recovered: every row that is complete on its page, wherever the damage is, and the
// readable parts of the others.
#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "app/chats/chat_store.h"
#include "app/chats/page_image.h"
#include "tests/chats/chats_folder.h"

using namespace headroom;
using namespace headroom::test;

namespace {

/// A file of chats with messages of n_letters each, and the place of each message in it. Made by one transaction.
struct Book {
  int n_chats, n_messages;  // n_messages: per chat
  std::string bytes;
  std::map<std::string, std::pair<size_t, size_t>> places;  // text ─► its begin and end on the leaf

  Book(int its_chats, int its_messages, int n_letters) : n_chats(its_chats), n_messages(its_messages) {
    const ChatsFolder here;
    here.open();
    const auto number = [](int n) { return std::to_string(n); };
    here.sql(
        "PRAGMA synchronous=OFF; BEGIN;"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
        number(n_chats) +
        ") INSERT INTO chats(title, updated_ms) SELECT CAST('title ' || i AS BLOB), 1700000000000 + i FROM n;"
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < " +
        number(n_chats * n_messages) +
        ") INSERT INTO messages(chat, role, content, ids, state, numbers, created_ms, parent) SELECT i % " +
        number(n_chats) + " + 1, CASE i / " + number(n_chats) +
        " % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, CAST('<' || i || '>' || replace(hex(zeroblob(" +
        number(n_letters / 2) + ")), '0', 'x') AS BLOB), x'', 0, x'', 1700000000000, max(0, i + 1 - " +
        number(n_chats) + ") FROM n; COMMIT");
    bytes = here.bytes();
    for (int i = 0; i < n_chats * n_messages; ++i) {
      const std::string begin = "<" + number(i) + ">";
      const size_t at = bytes.find(begin);
      places[begin + std::string(static_cast<size_t>(n_letters / 2 * 2), 'x')] = {
          at, at + begin.size() + static_cast<size_t>(n_letters)};
    }
  }

  /// Beginnings of the messages that must be recovered after the byte was changed: all but the one in its row.
  std::set<std::string> whole_without(size_t byte) const {
    constexpr size_t around = 40;  // bytes around the text: the row's other columns
    std::set<std::string> whole;
    for (const auto& [text, place] : places)
      if (byte + around < place.first || byte > place.second + around) whole.insert(text);
    return whole;
  }
};

std::set<std::string> texts_in(ChatStore& store) {
  std::set<std::string> texts;
  for (const ChatSummary& chat : store.list())
    for (const std::string& text : contents(store, chat.id)) texts.insert(text);
  return texts;
}

bool has_all(const std::set<std::string>& found, const std::set<std::string>& wanted) {
  return std::includes(found.begin(), found.end(), wanted.begin(), wanted.end());
}

std::string with_page(std::string bytes, size_t page, const std::string& content) {
  return bytes.replace((page - 1) * page_bytes, page_bytes, content);
}

/// An empty leaf page as SQLite writes it.
std::string empty_leaf(char type) {
  std::string page(page_bytes, '\0');
  page[0] = type;
  page[5] = 0x10;  // where cells begin: 4096
  return page;
}

const Book& long_messages() {
  static const Book book(20, 40, 3000);
  return book;
}

}  // namespace

TEST_CASE("a flipped bit anywhere costs at most the row that it lies in") {
  const Book& book = long_messages();
  REQUIRE(book.places.size() == 800);
  std::mt19937 random(5);
  std::vector<std::pair<size_t, int>> flips;
  // In the header of the messages' first page: 4 bits of the number of cells, and other fields.
  for (const int bit : {0, 1, 2, 4}) flips.emplace_back(3 * page_bytes + 4, bit);
  for (const size_t at : {0, 1, 3, 5, 6, 7, 8, 9, 12}) flips.emplace_back(3 * page_bytes + at, 3);
  // Headers of leaves: the kind of page, its counts, the pointer to its row.
  for (const size_t at : {0, 1, 3, 4, 5, 6, 7, 8, 9}) flips.emplace_back((100 + at) * page_bytes + at, at % 8);
  for (int i = 0; i < 12; ++i) flips.emplace_back(random() % book.bytes.size(), random() % 8);
  for (const auto& [byte, bit] : flips) {
    INFO("bit " << bit << " of byte " << byte % page_bytes << " of page " << byte / page_bytes + 1);
    const ChatsFolder here;
    std::string bytes = book.bytes;
    bytes[byte] = static_cast<char>(bytes[byte] ^ 1 << bit);
    here.write(bytes);
    ChatStore store = here.open();
    CHECK_FALSE(store.read_only());
    CHECK(store.list().size() >= 20);
    const bool all_are_there = has_all(texts_in(store), book.whole_without(byte));
    CHECK(all_are_there);
    if (!store.note().empty()) CHECK((here.bytes(".damaged-1") == bytes));
  }
}

TEST_CASE("the messages' first page overwritten by an empty page of another table costs no message") {
  const Book& book = long_messages();
  const ChatsFolder here;
  here.write(with_page(book.bytes, 4, empty_leaf(GENERATE(as<char>(), 13, 10))));
  ChatStore store = here.open();
  CHECK_THAT(store.note(), Catch::Contains("20 chats with 800 messages could be read; they are here"));
  CHECK(texts_in(store).size() == 800);
}

TEST_CASE("chats overwritten by an empty page are found by their messages") {
  const Book book(5, 8, 30);
  const ChatsFolder here;
  here.write(with_page(book.bytes, 2, empty_leaf(13)));
  ChatStore store = here.open();
  CHECK_THAT(store.note(),
             Catch::Contains("messages are there whose chats are not") && Catch::Contains("5 chats with 40 messages"));
  REQUIRE(store.list().size() == 5);
  for (const ChatSummary& chat : store.list()) {
    CHECK(chat.title == "Recovered chat");
    CHECK(store.messages(chat.id).size() == 8);
  }
}

TEST_CASE("messages that are overwritten leave the conversation around them in its order") {
  const Book book(1, 6, 3000);
  const ChatsFolder here;
  // Empty the leaf of the third message.
  const size_t page = std::next(book.places.begin(), 2)->second.first / page_bytes + 1;
  here.write(with_page(book.bytes, page, empty_leaf(13)));
  ChatStore store = here.open();
  const std::vector<StoredMessage> messages = store.messages(1);
  REQUIRE(messages.size() == 5);
  for (const StoredMessage& message : messages) CHECK(message.versions.size() == 1);
  CHECK(messages[1].content.starts_with("<1>"));
  CHECK(messages[2].content.starts_with("<3>"));
  store.add_user_message(1, "goes on");
  CHECK(contents(store, 1).size() == 6);
}

TEST_CASE("a message that lost a page that it goes on is kept up to there") {
  const Book book(1, 3, 20'000);
  const ChatsFolder here;
  const auto [begin, end] = book.places.begin()->second;
  // Find the second overflow page of the first message, which the first overflow page names.
  const auto next_of = [&](size_t page) {
    const auto byte = [&](size_t i) {
      return static_cast<size_t>(static_cast<uint8_t>(book.bytes[(page - 1) * page_bytes + i]));
    };
    return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
  };
  size_t first_further = 0;
  for (size_t page = begin / page_bytes + 2; page * page_bytes <= book.bytes.size() && first_further == 0; ++page)
    if (book.bytes.compare((page - 1) * page_bytes + 4, 10, std::string(10, 'x')) == 0) first_further = page;
  REQUIRE(first_further > 0);
  REQUIRE(next_of(first_further) > 0);
  std::string bytes = book.bytes;
  bytes[(first_further - 1) * page_bytes + 1] = 0x7f;  // it names a page that does not exist
  here.write(bytes);
  ChatStore store = here.open();
  CHECK_THAT(store.note(), Catch::Contains("3 messages could be read, 1 of them without their ends;"));
  const std::vector<StoredMessage> messages = store.messages(1);
  REQUIRE(messages.size() == 3);
  CHECK(std::count_if(messages.begin(), messages.end(),
                      [](const StoredMessage& message) { return message.content.size() > 20'000; }) == 2);
  for (const StoredMessage& message : messages) CHECK(message.content.size() > 4096);
}

TEST_CASE("no byte of the header hides the chats or forbids writing") {
  static const Book book(2, 21, 100);
  for (size_t byte = 0; byte < 100; ++byte) {
    // Bytes that mark the file's format and version get both patterns, others only one.
    const bool is_a_mark = byte == 18 || byte == 19 || (byte >= 60 && byte < 64) || (byte >= 68 && byte < 72);
    for (int pattern = 0; pattern < 2; ++pattern) {
      if (!is_a_mark && pattern != static_cast<int>(byte % 2)) continue;
      INFO("byte " << byte << " pattern " << pattern);
      const ChatsFolder here;
      std::string bytes = book.bytes;
      bytes[byte] = static_cast<char>(pattern == 0 ? ~bytes[byte] : bytes[byte] ^ 5);
      here.write(bytes);
      ChatStore store = here.open();
      CHECK_FALSE(store.read_only());
      CHECK(texts_in(store).size() == 42);
      CHECK_NOTHROW(store.add_user_message(1, "goes on"));
    }
  }
}

TEST_CASE("what follows a damaged place in the log comes back") {
  const ChatsFolder here;
  std::string log, bytes;
  {
    const ChatsFolder other;
    ChatStore store = other.open();
    const int64_t chat = store.create_chat("x");
    for (int i = 0; i < 6; ++i) store.add_user_message(chat, "<" + std::to_string(i) + ">" + std::string(3000, 'x'));
    bytes = other.bytes();
    log = other.bytes("-wal");
  }
  const size_t frame = log.find("<2>");
  REQUIRE(frame != std::string::npos);
  size_t damaged = 0;
  SECTION("in a message") {
    damaged = frame + 100;
  }
  SECTION("in the log's header") {
    damaged = 18;
  }
  log[damaged] = static_cast<char>(log[damaged] ^ 1);
  here.write(bytes);
  here.write(log, "-wal");
  ChatStore store = here.open();
  CHECK_THAT(store.note(), Catch::Contains("the log beside it was changed"));
  const std::set<std::string> texts = texts_in(store);
  for (const char* begin : {"<0>", "<1>", "<3>", "<4>", "<5>"}) CHECK(texts.contains(begin + std::string(3000, 'x')));
  CHECK((here.bytes(".damaged-1-wal") == log));
}

TEST_CASE("a log that ends in the middle of a transaction is what a killed window leaves, no damage") {
  const ChatsFolder here;
  std::string log, bytes;
  {
    const ChatsFolder other;
    ChatStore store = other.open();
    const int64_t chat = store.create_chat("x");
    store.add_user_message(chat, "kept");
    log = other.bytes("-wal");
    store.add_user_message(chat, std::string(30'000, 'x'));
    log += other.bytes("-wal").substr(log.size(), 10'000);
    bytes = other.bytes();
  }
  here.write(bytes);
  here.write(log, "-wal");
  ChatStore store = here.open();
  CHECK(store.note().empty());
  CHECK(contents(store, 1) == std::vector<std::string>{"kept"});
}

TEST_CASE("what looks like a row inside a message is not taken for one") {
  // A message that contains the bytes of a whole file of chats.
  const Book book(1, 2, 100);
  const ChatsFolder here;
  {
    ChatStore store = here.open();
    store.add_user_message(store.create_chat("x"), book.bytes);
  }
  std::string bytes = here.bytes();
  bytes[60] = 1;
  here.write(bytes);
  ChatStore store = here.open();
  CHECK_THAT(store.note(), Catch::Contains("1 chats with 1 messages"));
  CHECK((contents(store, 1) == std::vector<std::string>{book.bytes}));
}

TEST_CASE("a file that was set aside can be read, and stays as it is") {
  const Book book(5, 8, 30);
  const ChatsFolder here;
  std::string bytes = with_page(book.bytes, 2, empty_leaf(13));
  std::fill_n(bytes.begin(), 100, 'x');
  here.write(bytes, ".damaged-1");
  ChatStore store = ChatStore::read_what_is_left(here.path() + ".damaged-1");
  CHECK(store.read_only());
  CHECK(store.note() == "5 chats with 40 messages could be read of " + here.path() + ".damaged-1.");
  CHECK(texts_in(store).size() == 40);
  CHECK((here.bytes(".damaged-1") == bytes));
  CHECK_THROWS_WITH(ChatStore::read_what_is_left(here.path()), Catch::Contains("cannot open"));
}
