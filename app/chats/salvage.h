// A damaged database ─► the same file under another name, and a new one with every row that can still be read. Called
// by the chat store when it finds the damage, with the lock held and no connection open.
#pragma once

#include <memory>
#include <string>

#include "app/chats/sqlite.h"

namespace headroom {

/// The damaged file is renamed, but not changed or deleted. If it throws Error (for example on a full disk), everything
/// is in its old place. Returns the sentences for the user.
std::string set_aside_and_salvage(const std::string& path, const std::string& damage);

struct LeftOver {
  std::unique_ptr<Database> rows;  // in memory
  std::string carried;             // "3 chats with 20 messages could be read"
};
/// Every readable row of a file, damaged or whole. The file is not changed. Throws Error.
LeftOver read_what_is_left(const std::string& path);

}  // namespace headroom
