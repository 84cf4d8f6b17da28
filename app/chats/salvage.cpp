// Every row that the scan finds is inserted into new tables, whose constraints refuse false rows. Then the new file
// replaces the old one. See salvage.h.
#include "app/chats/salvage.h"

#include <filesystem>
#include <map>

#include "app/chats/page_image.h"
#include "app/chats/row_scan.h"
#include "app/chats/sqlite.h"
#include "app/chats/tables.h"

namespace headroom {
namespace {

namespace fs = std::filesystem;

constexpr const char* suffixes[] = {"", "-wal", "-shm", "-journal"};

// The new database until it replaces the old one. It is removed if something fails before that.
struct NewFile {
  explicit NewFile(std::string its_path) : path(std::move(its_path)) {
    for (const char* suffix : suffixes) fs::remove(path + suffix);
  }
  ~NewFile() {
    std::error_code ignored;
    for (const char* suffix : suffixes) fs::remove(path + suffix, ignored);
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  std::string path;
};

// Existing rows stay, because the scan returns the better one first. CHECKs refuse what only looks like a row.
class RowCarrier {
 public:
  explicit RowCarrier(Database& to)
      : chat_(to,
              "INSERT OR IGNORE INTO chats(id, title, updated_ms, deleted_ms, leaf, dropped) "
              "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
        message_(to,
                 "INSERT OR IGNORE INTO messages(id, chat, role, content, ids, state, numbers, created_ms, parent) "
                 "VALUES (?1, ?2, CAST(?3 AS TEXT), ?4, ?5, ?6, ?7, ?8, ?9)"),
        piece_(to, "INSERT OR IGNORE INTO pieces(id, message, content, ids) VALUES (?1, ?2, ?3, ?4)"),
        to_(to) {}

  void carry(const ScannedRow& row) {
    Statement& insert = row.kind == RowKind::chat ? chat_ : row.kind == RowKind::message ? message_ : piece_;
    insert.reset();
    sqlite3_clear_bindings(insert.handle());
    insert.bind(1, row.id);
    // In a cut message, no column after the content is known.
    const size_t n_known = row.is_cut ? 3 : row.values.size();
    for (size_t column = 0; column < n_known; ++column) {
      const int index = static_cast<int>(column) + 2;
      if (const auto* number = std::get_if<int64_t>(&row.values[column])) insert.bind(index, *number);
      if (const auto* bytes = std::get_if<std::string>(&row.values[column])) insert.bind(index, *bytes);
    }
    if (row.is_cut) {
      for (const int bytes_column : {5, 7}) insert.bind(bytes_column, std::string_view());
      insert.bind(6, int64_t{std::get<std::string>(row.values[1]) == "assistant" ? 2 : 0});
      insert.bind(8, int64_t{0});
    }
    insert.step();
    if (row.is_cut && to_.n_changed() > 0) ++n_cut_;
  }

  int64_t n_cut() const { return n_cut_; }

 private:
  Statement chat_, message_, piece_;
  Database& to_;
  int64_t n_cut_ = 0;
};

// Returns the number of messages that were copied, without those of deleted chats.
std::string carry_rows(const PageImage& from, Database& to) {
  to.run("PRAGMA secure_delete=ON");
  Transaction transaction(to, Sync::disk);
  int64_t n_cut = 0;
  {
    RowCarrier carrier(to);
    scan_rows(from, [&](const ScannedRow& row) { carrier.carry(row); });
    n_cut = carrier.n_cut();
  }
  mend_rows(to);
  transaction.commit();
  const auto count = [&](const std::string& sql) { return std::to_string(to.number("SELECT count(*) FROM " + sql)); };
  return count("chats WHERE deleted_ms IS NULL") + " chats with " +
         count("messages WHERE chat IN (SELECT id FROM chats WHERE deleted_ms IS NULL)") + " messages could be read" +
         (n_cut > 0 ? ", " + std::to_string(n_cut) + " of them without their ends" : "");
}

std::string unused_name(const std::string& path) {
  for (int number = 1;; ++number) {
    const std::string name = path + ".damaged-" + std::to_string(number);
    if (!fs::exists(fs::symlink_status(name)) && !fs::exists(fs::symlink_status(name + "-wal"))) return name;
  }
}

// Moves the logs first, since SQLite would apply them to the new file. The old file keeps its name until the new one
// replaces it in one step, so that a database exists at every moment.
void swap_in(const std::string& path, const std::string& fresh, const std::string& aside) {
  std::error_code no_links;
  fs::create_hard_link(path, aside, no_links);
  for (const char* log : {"-wal", "-journal"})
    if (fs::exists(fs::symlink_status(path + log))) fs::rename(path + log, aside + log);
  fs::remove(path + "-shm");
  if (no_links) fs::rename(path, aside);
  fs::rename(fresh, path);
}

}  // namespace

LeftOver read_what_is_left(const std::string& path) {
  LeftOver left;
  left.rows = std::make_unique<Database>(":memory:", SQLITE_OPEN_READWRITE);
  create_tables(*left.rows);
  left.carried = carry_rows(PageImage(path), *left.rows);
  return left;
}

std::string set_aside_and_salvage(const std::string& path, const std::string& damage) {
  try {
    const NewFile fresh(path + ".new");
    std::string carried;
    {
      Database to(fresh.path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
      create_tables(to);
      fs::permissions(fresh.path, fs::perms::owner_read | fs::perms::owner_write);
      carried = carry_rows(PageImage(path), to);
    }
    const std::string aside = unused_name(path);
    swap_in(path, fresh.path, aside);
    return "The chat database was damaged (" + damage + "). It is kept as " + aside + "; " + carried +
           "; they are here.";
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorKind::io, path + " is damaged (" + damage + ") and could not be set aside: " + error.what());
  }
}

}  // namespace headroom
