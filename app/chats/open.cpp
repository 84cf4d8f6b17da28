// A path ─► a chat store: for writing if this is the first window and the file allows it, for reading if not, empty if
// even that fails. The part of the chat store that knows of locks, rights, damage and foreign files.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "app/chats/chat_store.h"
#include "app/chats/file_lock.h"
#include "app/chats/salvage.h"
#include "app/chats/sqlite.h"
#include "app/chats/tables.h"

namespace headroom {
namespace {

namespace fs = std::filesystem;

// Makes the file if there is none. Chats are private, and SQLite gives its log the rights of the file.
void expect_writable_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
  if (descriptor < 0) throw Error(ErrorKind::io, path + " cannot be written: " + std::strerror(errno));
  struct stat status {};
  const bool is_file = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  ::close(descriptor);
  if (!is_file) throw Error(ErrorKind::io, path + " is not a file");
}

bool has_log(const std::string& path) {
  std::error_code none;
  const auto n_bytes = fs::file_size(path + "-wal", none);
  return !none && n_bytes > 0;
}

std::string newer_sentence(const std::string& path) {
  return path + " was written by a newer version of this program";
}

// Nothing is written by looking, and a log that lies beside a damaged file is not merged into it when it is closed.
std::unique_ptr<Database> open_database(const std::string& file, int flags) {
  auto database = std::make_unique<Database>(file, flags);
  sqlite3_db_config(database->handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_db_config(database->handle(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  database->run("PRAGMA trusted_schema=OFF");
  return database;
}

// Returns what is wrong with the file's bytes, or nothing. The check reads every page: damage must be found before
// something is built on it.
std::string damage_in(Database& database, const std::string& path) {
  try {
    switch (look_at_tables(database)) {
      case Tables::none:
        create_tables(database);
        return "";
      case Tables::newer:
        throw Error(ErrorKind::io, newer_sentence(path));
      case Tables::foreign:
        return "its tables are not those of chats";
      case Tables::ours:
        break;
    }
    const std::string found = database.text("PRAGMA integrity_check(1)");
    return found == "ok" ? "" : found.substr(found.rfind('\n') + 1);  // below a line that names the database
  } catch (const SqliteError& error) {
    if (!error.means_damage()) throw;
    return error.what();
  }
}

void expect_our_tables(Database& database, const std::string& path) {
  const Tables tables = look_at_tables(database);
  if (tables == Tables::newer) throw Error(ErrorKind::io, newer_sentence(path));
  if (tables != Tables::ours) throw Error(ErrorKind::io, path + " holds no chats");
}

// A file that nobody may write to, with a log: SQLite needs to write beside it, so a copy is read into memory.
std::unique_ptr<Database> memory_copy_of(const std::string& path) {
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
  auto memory = std::make_unique<Database>(":memory:", SQLITE_OPEN_READWRITE);
  sqlite3_backup* backup = sqlite3_backup_init(memory->handle(), "main", from.handle(), "main");
  if (backup == nullptr) memory->fail();
  sqlite3_backup_step(backup, -1);
  if (sqlite3_backup_finish(backup) != SQLITE_OK) memory->fail();
  return memory;
}

// percent-encoded, as SQLite's file: URIs want it
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

// No window writes to the file. On a full disk the log can be read in place without its index file.
std::unique_ptr<Database> open_without_writer(const std::string& path) {
  if (!has_log(path)) return open_database(immutable_uri(path), SQLITE_OPEN_READONLY);
  try {
    auto database = open_database(path, SQLITE_OPEN_READWRITE);
    database->run("PRAGMA query_only=ON");
    database->run("PRAGMA locking_mode=EXCLUSIVE");
    expect_our_tables(*database, path);
    return database;
  } catch (const SqliteError&) {
    return memory_copy_of(path);
  }
}

}  // namespace

ChatStore ChatStore::open(const std::string& given_path) {
  std::string path = given_path;
  std::unique_ptr<FileLock> lock;
  std::string why;
  try {
    // A link stays a link when the file behind it is exchanged.
    path = fs::weakly_canonical(fs::absolute(given_path)).string();
    fs::create_directories(fs::path(path).parent_path());
    auto taken = FileLock::try_take(path + ".lock");
    if (!taken) {
      return open_readable(path, Access::read_beside_writer,
                           "Another window has these chats open: they can be read here, but not changed.");
    }
    lock = std::make_unique<FileLock>(std::move(*taken));
    return open_writable(path, lock);
  } catch (const std::exception& error) {  // filesystem_error too
    why = error.what();
  }
  // The lock, if there is one, is freed: this window will not write.
  lock.reset();
  return open_readable(path, Access::read, "Chats are not saved: " + why + ".");
}

ChatStore ChatStore::open_writable(const std::string& path, std::unique_ptr<FileLock>& lock) {
  expect_writable_file(path);
  std::string note;
  std::unique_ptr<Database> database;
  std::string damage = fs::file_size(path) == 0 && has_log(path) ? "it is empty" : "";
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
  // Without a limit one answer of hours would make a log of gigabytes; with the usual 1000 pages the disk would be
  // waited for every few seconds while tokens arrive.
  database->run("PRAGMA wal_autocheckpoint=4000");
  database->run("PRAGMA foreign_keys=ON");
  database->run("PRAGMA secure_delete=ON");  // a chat that is purged leaves no words in the file
  sqlite3_db_config(database->handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  ChatStore store(nullptr, std::move(database), Access::write, note);
  store.stop_answers_cut_off();
  store.lock_ = std::move(lock);
  return store;
}

ChatStore ChatStore::open_readable(const std::string& path, Access access, const std::string& why) {
  std::string note = why;
  try {
    auto database =
        access == Access::read_beside_writer ? open_database(path, SQLITE_OPEN_READONLY) : open_without_writer(path);
    expect_our_tables(*database, path);
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
