// The tables as SQL. Their first pages must stay where a new file has them (no VACUUM, no auto_vacuum): the salvage of
// a damaged file puts a new file's page 1 before the old one's other pages.
#include "app/chats/tables.h"

namespace headroom {
namespace {

constexpr int64_t application_id = 0x4864726d;  // "Hdrm", for file(1) and for us

// Titles and contents are blobs because they are any bytes, NUL and broken UTF-8 included. Ids are never used again
// (AUTOINCREMENT), so that an id kept by the window cannot come to mean another message.
constexpr const char* table_definitions = R"(
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

// Definitions in one string. Whatever else a stranger's file holds (a trigger, a view, another column) makes it differ.
std::string definitions_in(Database& database) {
  return database.text(
      "SELECT group_concat(type || ' ' || name || ' ' || coalesce(sql, ''), char(10)) FROM "
      "(SELECT type, name, sql FROM sqlite_schema ORDER BY type, name)");
}

}  // namespace

void create_tables(Database& database) {
  Transaction transaction(database, Sync::disk);
  database.run(table_definitions);
  database.run("PRAGMA application_id=" + std::to_string(application_id));
  database.run("PRAGMA user_version=" + std::to_string(tables_version));
  transaction.commit();
}

Tables look_at_tables(Database& database) {
  const int64_t id = database.number("PRAGMA application_id");
  const int64_t version = database.number("PRAGMA user_version");
  const std::string found = definitions_in(database);
  if (id == 0 && version == 0 && found.empty()) return Tables::none;
  if (id != application_id) return Tables::foreign;
  if (version > tables_version) return Tables::newer;
  Database fresh(":memory:", SQLITE_OPEN_READWRITE);
  create_tables(fresh);
  return version == tables_version && found == definitions_in(fresh) ? Tables::ours : Tables::foreign;
}

}  // namespace headroom
