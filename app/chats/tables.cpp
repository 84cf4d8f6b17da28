// The tables as SQL, in steps from one version to the next. A new file runs the same steps as an old one, so that both
// end with identical definitions.
#include "app/chats/tables.h"

#include <iterator>

namespace headroom {
namespace {

constexpr int64_t application_id = 0x4864726d;  // "Hdrm", for file(1) and for us

// Titles and contents are blobs because they may hold any bytes, including NUL and invalid UTF-8. Ids are never reused
// (AUTOINCREMENT), so that an id kept by the window cannot refer to another message.
constexpr const char* to_version_1 = R"(
CREATE TABLE chats(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  title BLOB NOT NULL CHECK(typeof(title) = 'blob'),
  updated_ms INTEGER NOT NULL CHECK(typeof(updated_ms) = 'integer'),
  deleted_ms INTEGER);  -- not null: hidden, waits for being purged
CREATE TABLE messages(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  chat INTEGER NOT NULL REFERENCES chats ON DELETE CASCADE,
  role TEXT NOT NULL CHECK(role IN ('user', 'assistant')),
  content BLOB NOT NULL CHECK(typeof(content) = 'blob'),
  ids BLOB NOT NULL CHECK(typeof(ids) = 'blob'),  -- of the answer's tokens, 32 bits each, little-endian
  state INTEGER NOT NULL CHECK(state IN (0, 1, 2, 3)),  -- complete, streaming, stopped, failed
  numbers BLOB NOT NULL CHECK(typeof(numbers) = 'blob'),
  created_ms INTEGER NOT NULL CHECK(typeof(created_ms) = 'integer'));
CREATE INDEX messages_of_chat ON messages(chat);
-- What has arrived of answers that are not finished. One short row a piece, because a growing blob would be written
-- whole every time.
CREATE TABLE pieces(
  id INTEGER PRIMARY KEY,
  message INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
  content BLOB NOT NULL CHECK(typeof(content) = 'blob'),
  ids BLOB NOT NULL CHECK(typeof(ids) = 'blob'));
CREATE INDEX pieces_of_message ON pieces(message);
)";

// A chat becomes a tree. `parent` is the message before, 0 for a first one; messages with one parent are versions of
// each other. `leaf` is the last message of the conversation on screen; without one it ends with the newest message.
// The model no longer sees the message `dropped` and all before it. Parents are older than their children, so that
// damage cannot make a cycle.
constexpr const char* to_version_2 = R"(
ALTER TABLE chats ADD COLUMN leaf INTEGER;
ALTER TABLE chats ADD COLUMN dropped INTEGER;
ALTER TABLE messages ADD COLUMN parent INTEGER CHECK(parent < id);
)";

constexpr const char* steps[] = {to_version_1, to_version_2};
static_assert(std::size(steps) == tables_version);

// A row without a parent follows the message written before it in its chat, as in version 1.
constexpr const char* give_parents = R"(
UPDATE messages SET parent = coalesce(
  (SELECT max(before.id) FROM messages AS before WHERE before.chat = messages.chat AND before.id < messages.id), 0)
WHERE parent IS NULL;
)";

// Stores the version a second time, as the definition of a view. Otherwise one damaged number could make a file look
// newer than it is, and its chats could not be opened.
std::string mark_of(int64_t version) {
  return "CREATE VIEW tables_version AS SELECT " + std::to_string(version) + " AS number";
}

void step_to(Database& database, int64_t version) {
  database.run(steps[version - 1]);
  if (version < 2) return;
  database.run("DROP VIEW IF EXISTS tables_version");
  database.run(mark_of(version));
  if (version == 2) database.run(give_parents);
}

// All definitions in one string. Anything else in a foreign file (a trigger, a view, another column) makes it differ.
std::string definitions_in(Database& database) {
  return database.text(
      "SELECT group_concat(type || ' ' || name || ' ' || coalesce(sql, ''), char(10)) FROM "
      "(SELECT type, name, sql FROM sqlite_schema ORDER BY type, name)");
}

std::string definitions_of(int64_t version) {
  Database fresh(":memory:", SQLITE_OPEN_READWRITE);
  create_tables(fresh, version);
  return definitions_in(fresh);
}

}  // namespace

void create_tables(Database& database, int64_t version) {
  Transaction transaction(database, Sync::disk);
  for (int64_t step = 1; step <= version; ++step) step_to(database, step);
  database.run("PRAGMA application_id=" + std::to_string(application_id));
  database.run("PRAGMA user_version=" + std::to_string(version));
  transaction.commit();
}

void bring_tables_up_to_date(Database& database) {
  Transaction transaction(database, Sync::disk);
  for (int64_t step = database.number("PRAGMA user_version") + 1; step <= tables_version; ++step)
    step_to(database, step);
  database.run("PRAGMA user_version=" + std::to_string(tables_version));
  transaction.commit();
}

Tables look_at_tables(Database& database) {
  const int64_t id = database.number("PRAGMA application_id");
  const int64_t version = database.number("PRAGMA user_version");
  const std::string found = definitions_in(database);
  if (id == 0 && version == 0 && found.empty()) return Tables::none;
  if (id != application_id || version < 1) return Tables::foreign;
  if (version <= tables_version) {
    if (found != definitions_of(version)) return Tables::foreign;
    return version == tables_version ? Tables::ours : Tables::older;
  }
  const std::string mark =
      database.text("SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = 'tables_version'");
  return mark == mark_of(version) ? Tables::newer : Tables::foreign;
}

std::string contradiction_in_rows(Database& database) {
  const auto any = [&](const std::string& sql) { return database.number("SELECT EXISTS(" + sql + ")") != 0; };
  if (any("SELECT 1 FROM pragma_foreign_key_check('messages')")) return "messages are there whose chats are not";
  if (any("SELECT 1 FROM pragma_foreign_key_check('pieces')")) return "pieces are there of answers that are not";
  if (database.number("PRAGMA user_version") < 2) return "";
  if (any("SELECT 1 FROM messages AS m LEFT JOIN messages AS p ON p.id = m.parent "
          "WHERE m.parent IS NULL OR (m.parent <> 0 AND p.chat IS NOT m.chat)"))
    return "messages are there whose predecessors are not";
  return "";
}

void mend_rows(Database& database) {
  database.run(
      "INSERT INTO chats(id, title, updated_ms) "
      "SELECT chat, CAST('Recovered chat' AS BLOB), max(created_ms) FROM messages "
      "WHERE chat NOT IN (SELECT id FROM chats) GROUP BY chat");
  database.run("DELETE FROM pieces WHERE message NOT IN (SELECT id FROM messages WHERE state = 1)");
  database.run(
      "UPDATE messages SET parent = coalesce((SELECT max(before.id) FROM messages AS before "
      "WHERE before.chat = messages.chat AND before.id < messages.parent), 0) WHERE parent <> 0 AND "
      "NOT EXISTS (SELECT 1 FROM messages AS p WHERE p.id = messages.parent AND p.chat = messages.chat)");
  database.run(give_parents);
  database.run(
      "UPDATE chats SET leaf = NULL "
      "WHERE leaf NOT IN (SELECT id FROM messages WHERE messages.chat = chats.id)");
  // If the dropped message was lost, the newest message written before it replaces it.
  database.run(
      "UPDATE chats SET dropped = (SELECT max(id) FROM messages WHERE messages.chat = chats.id AND id < dropped) "
      "WHERE dropped NOT IN (SELECT id FROM messages WHERE messages.chat = chats.id)");
}

}  // namespace headroom
