// The tables of the chat database, every version of them, and whether a file has exactly these. Beside the chat store;
// knows no path.
#pragma once

#include <string>

#include "app/chats/sqlite.h"

namespace headroom {

/// A file with a larger one was written by a newer program.
constexpr int64_t tables_version = 2;

/// Makes the tables in an empty database, in one transaction. Its first pages are where they are in every file.
void create_tables(Database& database, int64_t version = tables_version);
/// Brings the tables of an older version to the present one, in one transaction: nothing is lost, and a crash leaves
/// the old tables.
void bring_tables_up_to_date(Database& database);

enum class Tables {
  none,
  ours,
  older,    // of an earlier version, exactly
  newer,    // of a later version, and everything in the file says so
  foreign,  // of another program, or damaged
};
/// Throws SqliteError where the file's first pages cannot be read.
Tables look_at_tables(Database& database);

/// What contradicts itself between the rows: a message without a chat, say. Empty if nothing does.
std::string contradiction_in_rows(Database& database);
/// Makes the rows agree again after some were lost: a message whose chat is gone gets a new one, one whose predecessor
/// is gone follows what was written before it.
void mend_rows(Database& database);

}  // namespace headroom
