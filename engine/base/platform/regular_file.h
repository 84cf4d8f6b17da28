// Reads files at paths that the program chooses itself (settings, chats, calibrations). A pipe, a device, a folder or a
// huge file may be there. Opening never blocks, and reading needs no more memory than the caller allows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace headroom {

/// Returns false if nothing has this path. Throws Error(io) if it is not a regular file (the message says what it is)
/// or cannot be examined. Links are followed.
bool regular_file_exists(const std::string& path);

/// All bytes of a regular file; nothing if there is no file. Throws Error(io) if it is not a regular file, if it has
/// more than max_bytes, or if the system refuses.
std::optional<std::string> read_regular_file(const std::string& path, size_t max_bytes);

}  // namespace headroom
