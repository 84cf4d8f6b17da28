// The tables of the chat database, and whether a file has exactly these. Beside the chat store; knows no path.
#pragma once

#include <string>

#include "app/chats/sqlite.h"

namespace headroom {

/// A file with a larger one was written by a newer program.
constexpr int64_t tables_version = 1;

/// Makes the tables in an empty database, in one transaction.
void create_tables(Database& database);

enum class Tables { none, ours, newer, foreign };
/// Throws SqliteError where the file's first pages cannot be read.
Tables look_at_tables(Database& database);

}  // namespace headroom
