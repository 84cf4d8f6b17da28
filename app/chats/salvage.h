// A damaged database ─► the same file under another name, and a new one with every row that can still be read. Called
// by the chat store when it finds the damage, with the lock held and no connection open.
#pragma once

#include <memory>
#include <string>

#include "app/chats/sqlite.h"

namespace headroom {

/// Nothing of the damaged file is changed or deleted. Throws Error (a full disk, say) with everything in its old place.
/// Returns what to tell the user.
std::string set_aside_and_salvage(const std::string& path, const std::string& damage);

struct LeftOver {
  std::unique_ptr<Database> rows;  // in memory
  std::string carried;             // "3 chats with 20 messages could be read"
};
/// Every row that can still be read of a file, damaged or whole, which stays as it is. Throws Error.
LeftOver read_what_is_left(const std::string& path);

}  // namespace headroom
