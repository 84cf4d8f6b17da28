// Calls of SQLite with their result codes turned into errors.
#include "app/chats/sqlite.h"

#include <cstring>

namespace headroom {

Database::Database(const std::string& file, int flags) : file_(file) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &handle, flags | SQLITE_OPEN_URI, nullptr);
  handle_.reset(handle);  // SQLite returns a handle even after a failure, for the error message
  if (handle == nullptr) throw Error(ErrorKind::out_of_memory, file + ": no memory to open it");
  if (code != SQLITE_OK) fail();
  sqlite3_busy_timeout(handle, 1000);
}

void Database::fail() const {
  const int code = sqlite3_errcode(handle()) & 0xff;
  const bool from_system = (code == SQLITE_IOERR || code == SQLITE_CANTOPEN) && sqlite3_system_errno(handle()) != 0;
  throw SqliteError(code, file_ + ": " + sqlite3_errmsg(handle()) +
                              (from_system ? std::string(", ") + std::strerror(sqlite3_system_errno(handle())) : "") +
                              " (SQLite code " + std::to_string(sqlite3_extended_errcode(handle())) + ")");
}

void Database::run(const std::string& sql) {
  if (sqlite3_exec(handle(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail();
}

int64_t Database::number(const std::string& sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.number(0) : 0;
}

std::string Database::text(const std::string& sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.bytes(0) : "";
}

void Statement::prepare(const std::string& sql) {
  sqlite3_stmt* handle = nullptr;
  if (sqlite3_prepare_v2(database_.handle(), sql.c_str(), static_cast<int>(sql.size()) + 1, &handle, nullptr) !=
      SQLITE_OK) {
    database_.fail();
  }
  handle_.reset(handle);
}

bool Statement::step() {
  const int code = sqlite3_step(handle());
  if (code != SQLITE_ROW && code != SQLITE_DONE) database_.fail();
  return code == SQLITE_ROW;
}

std::string Statement::bytes(int column) const {
  const void* data = sqlite3_column_blob(handle(), column);
  const int n_bytes = sqlite3_column_bytes(handle(), column);
  return data == nullptr ? "" : std::string(static_cast<const char*>(data), static_cast<size_t>(n_bytes));
}

void Statement::bind(int index, int64_t value) {
  if (sqlite3_bind_int64(handle(), index, value) != SQLITE_OK) database_.fail();
}

void Statement::bind(int index, std::string_view value) {
  // A null pointer would bind NULL instead of no bytes.
  const char* data = value.empty() ? "" : value.data();
  if (sqlite3_bind_blob64(handle(), index, data, value.size(), SQLITE_TRANSIENT) != SQLITE_OK) database_.fail();
}

Transaction::Transaction(Database& database, Sync sync) : database_(database) {
  database.run(sync == Sync::disk ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
  database.run("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  // SQLite rolls back by itself after some failures. Then this rollback fails, because there is nothing left to undo.
  if (sqlite3_get_autocommit(database_.handle()) == 0) {
    sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

}  // namespace headroom
