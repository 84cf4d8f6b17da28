// A path ─► a chat store: for writing if this is the first window and the file allows it, else for reading, and empty
// if even that fails. This part of the chat store knows locks, permissions, damage and foreign files.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "app/chats/chat_store.h"
#include "app/chats/file_lock.h"
#include "app/chats/page_image.h"
#include "app/chats/salvage.h"
#include "app/chats/sqlite.h"
#include "app/chats/tables.h"
#include "engine/base/platform/private_file.h"
#include "engine/base/platform/regular_file.h"

namespace headroom {
namespace {

namespace fs = std::filesystem;

// Creates the file if there is none. Chats are private, and SQLite gives its log the permissions of the file. So a file
// with wider permissions is restricted to its owner.
void expect_writable_file(const std::string& path) {
  regular_file_exists(path);
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
  if (descriptor < 0) throw Error(ErrorKind::io, path + " cannot be written: " + std::strerror(errno));
  close_to_others(descriptor);
  ::close(descriptor);
}

// SQLite opens these files by itself, and would block forever on a named pipe.
void expect_files_beside(const std::string& path) {
  for (const char* suffix : {"-wal", "-shm", "-journal"}) regular_file_exists(path + suffix);
}

// False also if a file beside the database is no regular file: it cannot be read then.
bool has_log(const std::string& path) {
  try {
    expect_files_beside(path);
  } catch (const Error&) {
    return false;
  }
  std::error_code none;
  const auto n_bytes = fs::file_size(path + "-wal", none);
  return !none && n_bytes > 0;
}

std::string newer_sentence(const std::string& path) {
  return path + " was written by a newer version of this program";
}

// Opening writes nothing, and closing does not merge the log into a file that may be damaged.
std::unique_ptr<Database> open_database(const std::string& file, int flags) {
  auto database = std::make_unique<Database>(file, flags);
  sqlite3_db_config(database->handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_db_config(database->handle(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  database->run("PRAGMA trusted_schema=OFF");
  return database;
}

// Returns what is wrong with the file's bytes, or an empty string. The check reads every page, so that nothing is
// written on top of damage.
std::string damage_in(Database& database, const std::string& path) {
  try {
    const Tables tables = look_at_tables(database);
    // The file itself is writable (see expect_writable_file), so its header must forbid writing.
    if (sqlite3_db_readonly(database.handle(), "main") == 1) return "its header forbids writing";
    if (tables == Tables::none) create_tables(database);
    if (tables == Tables::newer) throw Error(ErrorKind::io, newer_sentence(path));
    if (tables == Tables::foreign) return "its tables are not those of chats";
    const std::string found = database.text("PRAGMA integrity_check(1)");
    if (found != "ok") return found.substr(found.rfind('\n') + 1);  // the line before it names the database
    return contradiction_in_rows(database);
  } catch (const SqliteError& error) {
    if (!error.means_damage()) throw;
    return error.what();
  }
}

std::unique_ptr<Database> memory_copy_of(Database& from) {
  auto memory = std::make_unique<Database>(":memory:", SQLITE_OPEN_READWRITE);
  sqlite3_backup* backup = sqlite3_backup_init(memory->handle(), "main", from.handle(), "main");
  if (backup == nullptr) memory->fail();
  sqlite3_backup_step(backup, -1);
  if (sqlite3_backup_finish(backup) != SQLITE_OK) memory->fail();
  return memory;
}

// Upgrades older tables in a copy in memory, because the file must not be changed.
std::unique_ptr<Database> with_our_tables(std::unique_ptr<Database> database, const std::string& path) {
  Tables tables = look_at_tables(*database);
  if (tables == Tables::older) {
    database = memory_copy_of(*database);
    bring_tables_up_to_date(*database);
    tables = look_at_tables(*database);
  }
  if (tables == Tables::newer) throw Error(ErrorKind::io, newer_sentence(path));
  if (tables != Tables::ours) throw Error(ErrorKind::io, path + " holds no chats");
  return database;
}

// For a read-only file with a log: SQLite needs to write beside it, so the file and its log are copied and then loaded
// into memory.
std::unique_ptr<Database> memory_copy_with_log(const std::string& path) {
  std::string folder = (fs::temp_directory_path() / "headroom-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) throw Error(ErrorKind::io, folder + ": " + std::strerror(errno));
  const auto remove = [](const std::string* name) {
    std::error_code ignored;
    fs::remove_all(*name, ignored);
  };
  const std::unique_ptr<const std::string, decltype(remove)> cleanup(&folder, remove);
  const std::string copy = folder + "/chats";
  fs::copy_file(path, copy);
  fs::copy_file(path + "-wal", copy + "-wal");
  for (const char* suffix : {"", "-wal"}) {
    fs::permissions(copy + suffix, fs::perms::owner_read | fs::perms::owner_write);
  }
  Database from(copy, SQLITE_OPEN_READWRITE);
  return memory_copy_of(from);
}

// Percent-encodes the path for a file: URI of SQLite.
std::string immutable_uri(const std::string& path) {
  std::string uri = "file:";
  for (const char character : path) {
    if (character == '%' || character == '?' || character == '#') {
      constexpr char digits[] = "0123456789ABCDEF";
      uri += {'%', digits[character >> 4], digits[character & 15]};
    } else {
      uri += character;
    }
  }
  return uri + "?immutable=1";
}

// Opens a file to which no window writes. The exclusive mode reads the log without its index file, so it also works on
// a full disk.
std::unique_ptr<Database> open_without_writer(const std::string& path) {
  if (!has_log(path)) return open_database(immutable_uri(path), SQLITE_OPEN_READONLY);
  try {
    auto database = open_database(path, SQLITE_OPEN_READWRITE);
    database->run("PRAGMA query_only=ON");
    database->run("PRAGMA locking_mode=EXCLUSIVE");
    look_at_tables(*database);
    return database;
  } catch (const SqliteError&) {
    return memory_copy_with_log(path);
  }
}

}  // namespace

ChatStore ChatStore::open(const std::string& given_path) {
  std::string path = given_path;
  std::unique_ptr<FileLock> lock;
  std::string why;
  try {
    // Resolves links, so that a link stays a link when the file behind it is replaced.
    path = fs::weakly_canonical(fs::absolute(given_path)).string();
    make_private_folders(fs::path(path).parent_path().string());
    auto taken = FileLock::try_take(path + ".lock");
    if (!taken) {
      return open_readable(path, Access::read_beside_writer,
                           "Another window has these chats open: they can be read here, but not changed.");
    }
    lock = std::make_unique<FileLock>(std::move(*taken));
    return open_writable(path, lock);
  } catch (const std::exception& error) {  // includes filesystem_error
    why = error.what();
  }
  // Frees the lock, if there is one: this window will not write.
  lock.reset();
  return open_readable(path, Access::read, "Chats are not saved: " + why + ".");
}

ChatStore ChatStore::read_what_is_left(const std::string& path) {
  LeftOver left = headroom::read_what_is_left(path);
  return ChatStore(nullptr, std::move(left.rows), Access::read, left.carried + " of " + path + ".");
}

ChatStore ChatStore::open_writable(const std::string& path, std::unique_ptr<FileLock>& lock) {
  expect_writable_file(path);
  expect_files_beside(path);
  std::string note;
  std::unique_ptr<Database> database;
  // SQLite ignores the log of an empty file, and everything after a damaged place in a log.
  std::string damage = fs::file_size(path) == 0 && has_log(path) ? "it is empty"
                       : read_log(path + "-wal").is_damaged      ? "the log beside it was changed"
                                                                 : "";
  if (damage.empty()) {
    database = open_database(path, SQLITE_OPEN_READWRITE);
    damage = damage_in(*database, path);
  }
  if (!damage.empty()) {
    database.reset();
    note = set_aside_and_salvage(path, damage);
    database = open_database(path, SQLITE_OPEN_READWRITE);
  }
  database->run("PRAGMA journal_mode=WAL");
  // Without a limit, one answer that takes hours would give a log of gigabytes. With the default of 1000 pages, the
  // store would wait for the disk every few seconds while tokens arrive.
  database->run("PRAGMA wal_autocheckpoint=4000");
  database->run("PRAGMA foreign_keys=ON");
  database->run("PRAGMA secure_delete=ON");  // a purged chat leaves no text in the file
  sqlite3_db_config(database->handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  if (look_at_tables(*database) == Tables::older) bring_tables_up_to_date(*database);
  ChatStore store(nullptr, std::move(database), Access::write, note);
  store.stop_answers_cut_off();
  store.lock_ = std::move(lock);
  return store;
}

ChatStore ChatStore::open_readable(const std::string& path, Access access, const std::string& why) {
  std::string note = why;
  try {
    if (!regular_file_exists(path)) throw Error(ErrorKind::io, path + " is not there");
    if (access == Access::read_beside_writer) expect_files_beside(path);
    auto database =
        access == Access::read_beside_writer ? open_database(path, SQLITE_OPEN_READONLY) : open_without_writer(path);
    database = with_our_tables(std::move(database), path);
    return ChatStore(nullptr, std::move(database), access, note);
  } catch (const std::exception& error) {
    if (note.find(error.what()) == std::string::npos)
      note += std::string(" They cannot be read: ") + error.what() + ".";
  }
  auto nothing = std::make_unique<Database>(":memory:", SQLITE_OPEN_READWRITE);
  create_tables(*nothing);
  return ChatStore(nullptr, std::move(nothing), access, note);
}

}  // namespace headroom
