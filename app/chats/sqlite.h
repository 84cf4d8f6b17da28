// SQLite's C interface as three small classes: a file, a statement with its values, a transaction. Used by the chat
// store; it knows no tables. Every error of SQLite becomes a SqliteError with one sentence, and the connection stays
// usable.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/error.h"

namespace headroom {

class SqliteError : public Error {
 public:
  SqliteError(int code, const std::string& sentence) : Error(ErrorKind::io, sentence), code_(code) {}
  /// True if the file's bytes are at fault, not the disk, the memory or the permissions. Missing tables give
  /// SQLITE_ERROR.
  bool means_damage() const { return code_ == SQLITE_CORRUPT || code_ == SQLITE_NOTADB || code_ == SQLITE_ERROR; }

 private:
  int code_;  // primary
};

class Database {
 public:
  /// file: a path, or a file: URI
  Database(const std::string& file, int flags);
  /// Runs SQL without values and ignores its rows.
  void run(const std::string& sql);
  /// The first column of the first row; 0 if there is no row.
  int64_t number(const std::string& sql);
  std::string text(const std::string& sql);
  int64_t last_id() const { return sqlite3_last_insert_rowid(handle_.get()); }
  int64_t n_changed() const { return sqlite3_changes64(handle_.get()); }
  [[noreturn]] void fail() const;
  sqlite3* handle() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  std::string file_;
  std::unique_ptr<sqlite3, Close> handle_;
};

/// One prepared statement; ?1, ?2, … are the values in their order, text as a blob: content is bytes.
class Statement {
 public:
  template <typename... Values>
  Statement(Database& database, const std::string& sql, const Values&... values) : database_(database) {
    prepare(sql);
    int index = 0;
    (bind(++index, values), ...);
  }
  /// True if there is a row to read; false at the end.
  bool step();
  void reset() { sqlite3_reset(handle_.get()); }
  int64_t number(int column) const { return sqlite3_column_int64(handle_.get(), column); }
  std::string bytes(int column) const;
  void bind(int index, int64_t value);
  void bind(int index, std::string_view value);
  sqlite3_stmt* handle() const { return handle_.get(); }

 private:
  void prepare(const std::string& sql);

  struct Finalize {
    void operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
  };
  Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

/// What a commit waits for. A killed process loses neither kind: both have reached the operating system when commit()
/// returns.
enum class Sync {
  disk,    // survives a power failure
  system,  // no wait for the disk; a power failure may lose the latest commits, but the file stays whole
};

/// Rolled back unless committed.
class Transaction {
 public:
  Transaction(Database& database, Sync sync);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit() { database_.run("COMMIT"); }

 private:
  Database& database_;
};

}  // namespace headroom
