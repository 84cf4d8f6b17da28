// Files in places that the program knows by itself (settings, chats, calibrations): a pipe, a device, a folder or a
// file of any size may lie there. Opening one never waits, and reading one takes no more memory than the caller allows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace headroom {

/// Throws Error(io) where something lies there that is not a regular file, or where it cannot be looked at; the
/// sentence says what it is. Links are followed. False where nothing lies there.
bool regular_file_exists(const std::string& path);

/// All bytes of a regular file; nothing where no file lies there. Throws Error(io) for what is not a regular file, for
/// more than max_bytes, and where the system refuses.
std::optional<std::string> read_regular_file(const std::string& path, size_t max_bytes);

}  // namespace headroom
