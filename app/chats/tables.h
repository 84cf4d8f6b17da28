// The tables of the chat database, every version of them, and whether a file has exactly these. Beside the chat store;
// knows no path.
#pragma once

#include <string>

#include "app/chats/sqlite.h"

namespace headroom {

/// A file with a larger version was written by a newer program.
constexpr int64_t tables_version = 2;

/// Creates the tables in an empty database, in one transaction. Their root pages have the same numbers in every file.
void create_tables(Database& database, int64_t version = tables_version);
/// Upgrades tables of an older version to the current one, in one transaction. Nothing is lost, and a crash leaves the
/// old tables.
void bring_tables_up_to_date(Database& database);

enum class Tables {
  none,
  ours,
  older,    // of an earlier version, exactly
  newer,    // of a later version, and everything in the file says so
  foreign,  // of another program, or damaged
};
/// Throws SqliteError if the file's first pages cannot be read.
Tables look_at_tables(Database& database);

/// Describes a contradiction between rows, such as a message without a chat; empty if there is none.
std::string contradiction_in_rows(Database& database);
/// Makes the rows consistent after some were lost. A message without its chat gets a new chat; one without its parent
/// follows the message written before it.
void mend_rows(Database& database);

}  // namespace headroom
