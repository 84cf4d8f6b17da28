// Reading around damage: rows in their order until SQLite meets it, then every page by itself.
// All of it happens on copies; the damaged file itself only gets another name at the end.
#include "app/chats/salvage.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>

#include "app/chats/sqlite.h"
#include "app/chats/tables.h"

namespace headroom {
namespace {

namespace fs = std::filesystem;

struct Table {
  const char* name;
  const char* columns;  // the first is the row's id
  const char* places;
};
constexpr Table tables[] = {
    {"chats", "id, title, updated_ms, deleted_ms", "?1, ?2, ?3, ?4"},
    {"messages", "id, chat, role, content, ids, state, numbers, created_ms", "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8"},
    {"pieces", "id, message, content, ids", "?1, ?2, ?3, ?4"},
};

void remove_database(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) fs::remove(path + suffix);
}

// Removes a working copy, whatever happens in between.
struct WorkingCopy {
  explicit WorkingCopy(std::string its_path) : path(std::move(its_path)) { remove_database(path); }
  ~WorkingCopy() {
    std::error_code ignored;
    for (const char* suffix : {"", "-wal", "-shm", "-journal"}) fs::remove(path + suffix, ignored);
  }
  WorkingCopy(const WorkingCopy&) = delete;
  WorkingCopy& operator=(const WorkingCopy&) = delete;
  std::string path;
};

// A file shorter than its header says, or with a damaged definition, is read as far as it goes.
void tolerate_damage(Database& database) {
  database.run("PRAGMA writable_schema=ON");
  database.run("PRAGMA synchronous=OFF");  // a working copy
}

class RowCarrier {
 public:
  RowCarrier(std::string from, Database& to, const Table& table)
      : from_(std::move(from)),
        table_(table),
        insert_(to, std::string("INSERT OR IGNORE INTO ") + table.name + "(" + table.columns + ") VALUES (" +
                        table.places + ")") {}

  void carry_all() {
    int64_t n_pages = 0;
    {
      Database database(from_, SQLITE_OPEN_READWRITE);
      tolerate_damage(database);
      if (walk(database, "ORDER BY id")) return;
      n_pages = database.number("PRAGMA page_count");
    }
    // What lies behind the damage is found page by page: a leaf of a table reads like a table of its own, if the
    // definition names it as the table's first page. Pages of other tables have rows that the new table refuses.
    for (int64_t page = 2; page <= n_pages; ++page) carry_leaf(page);
  }

 private:
  void carry_leaf(int64_t page) {
    try {
      Database database(from_, SQLITE_OPEN_READWRITE);  // anew, since SQLite remembers what it found damaged
      tolerate_damage(database);
      database.run("UPDATE sqlite_schema SET rootpage = " + std::to_string(page) + " WHERE name = '" + table_.name +
                   "'");
      database.run("PRAGMA writable_schema=RESET");
      tolerate_damage(database);
      if (!walk(database, "ORDER BY id")) walk(database, "ORDER BY id DESC");
    } catch (const SqliteError& error) {
      if (!error.means_damage()) throw;
    }
  }

  // Carries rows until the end (true) or the damage (false). Ids that repeat are damage too: pages in a circle.
  bool walk(Database& from, const std::string& order) {
    try {
      Statement rows(from, std::string("SELECT ") + table_.columns + " FROM " + table_.name + " WHERE id > 0 " + order);
      const bool descending = order.ends_with("DESC");
      std::optional<int64_t> previous_id;
      while (rows.step()) {
        const int64_t id = rows.number(0);
        if (previous_id && (descending ? id >= *previous_id : id <= *previous_id)) return false;
        previous_id = id;
        carry(rows);
      }
      return true;
    } catch (const SqliteError& error) {
      if (!error.means_damage()) throw;
      return false;
    }
  }

  // Only rows that the new tables accept: noise that looks like a row is left behind.
  void carry(const Statement& row) {
    insert_.reset();
    for (int column = 0; column < sqlite3_column_count(row.handle()); ++column) {
      sqlite3_bind_value(insert_.handle(), column + 1, sqlite3_column_value(row.handle(), column));
    }
    insert_.step();
  }

  std::string from_;
  const Table& table_;
  Statement insert_;
};

bool has_our_tables(const std::string& path) {
  // A file of no bytes would make SQLite throw the write-ahead log away.
  if (fs::file_size(path) == 0) return false;
  try {
    Database database(path, SQLITE_OPEN_READWRITE);
    tolerate_damage(database);
    return look_at_tables(database) == Tables::ours;
  } catch (const SqliteError& error) {
    if (!error.means_damage()) throw;
    return false;
  }
}

// Page 1 holds the header and where each table begins, the same in every file of this program.
void replace_first_page(const std::string& path, const std::string& intact) {
  std::string page(4096, '\0');
  std::ifstream(intact, std::ios::binary).read(page.data(), static_cast<std::streamsize>(page.size()));
  const auto n_pages = std::max<uint64_t>(1, fs::file_size(path) / page.size());
  for (size_t i = 0; i < 4; ++i) page[28 + i] = static_cast<char>(n_pages >> (8 * (3 - i)));
  // Free pages are not listed any more: 32 to 39 are the list's first page and length.
  std::fill(page.begin() + 32, page.begin() + 40, '\0');
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.write(page.data(), static_cast<std::streamsize>(page.size()));
  file.flush();
  if (!file) throw Error(ErrorKind::io, path + " cannot be written");
}

void copy_with_log(const std::string& from, const std::string& to) {
  fs::copy_file(from, to);
  if (fs::exists(from + "-wal")) fs::copy_file(from + "-wal", to + "-wal");
  for (const char* suffix : {"", "-wal"}) {
    if (fs::exists(to + suffix)) fs::permissions(to + suffix, fs::perms::owner_read | fs::perms::owner_write);
  }
}

// Returns how many messages arrived, of chats that are not deleted.
std::string carry_rows(const std::string& from, Database& to) {
  Transaction transaction(to, Sync::disk);
  for (const Table& table : tables) RowCarrier(from, to, table).carry_all();
  to.run(
      "INSERT INTO chats(id, title, updated_ms) "
      "SELECT chat, CAST('Recovered chat' AS BLOB), max(created_ms) FROM messages "
      "WHERE chat NOT IN (SELECT id FROM chats) GROUP BY chat");
  to.run("DELETE FROM pieces WHERE message NOT IN (SELECT id FROM messages WHERE state = 1)");
  transaction.commit();
  const auto count = [&](const std::string& sql) { return std::to_string(to.number("SELECT count(*) FROM " + sql)); };
  return count("chats WHERE deleted_ms IS NULL") + " chats with " +
         count("messages WHERE chat IN (SELECT id FROM chats WHERE deleted_ms IS NULL)") + " messages";
}

std::string unused_name(const std::string& path) {
  for (int number = 1;; ++number) {
    const std::string name = path + ".damaged-" + std::to_string(number);
    if (!fs::exists(fs::symlink_status(name)) && !fs::exists(fs::symlink_status(name + "-wal"))) return name;
  }
}

// The log moves first: beside the new file it would be taken for the new file's own. The old file keeps its name until
// the new one takes it over in one step, so that there is a database at every moment.
void swap_in(const std::string& path, const std::string& fresh, const std::string& aside) {
  std::error_code no_links;
  fs::create_hard_link(path, aside, no_links);
  const bool has_log = fs::exists(path + "-wal");
  if (has_log) fs::rename(path + "-wal", aside + "-wal");
  fs::remove(path + "-shm");
  if (no_links) fs::rename(path, aside);
  fs::rename(fresh, path);
}

}  // namespace

std::string set_aside_and_salvage(const std::string& path, const std::string& damage) {
  try {
    const WorkingCopy fresh(path + ".new");
    const WorkingCopy copy(path + ".salvage");
    std::string carried;
    {
      Database to(fresh.path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
      create_tables(to);
      fs::permissions(fresh.path, fs::perms::owner_read | fs::perms::owner_write);
      copy_with_log(path, copy.path);
      if (!has_our_tables(copy.path)) replace_first_page(copy.path, fresh.path);
      carried = carry_rows(copy.path, to);
    }
    const std::string aside = unused_name(path);
    swap_in(path, fresh.path, aside);
    return "The chat database was damaged (" + damage + "). It is kept as " + aside + "; " + carried +
           " could be read and are here.";
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorKind::io, path + " is damaged (" + damage + ") and could not be set aside: " + error.what());
  }
}

}  // namespace headroom
