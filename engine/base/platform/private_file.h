// Files and folders that hold words of a conversation (Linux): traces, recordings, chats, settings, results. Only their
// owner may read them, whatever the umask allows. Under everything that writes such a file; knows none of their
// contents.
#pragma once

#include <string>

#include "engine/base/platform/fd_io.h"

namespace headroom {

/// Creates the folder and what is missing above it, for their owner alone (0700), as the XDG rules ask. What is there
/// stays as it is. An empty path is the current folder. Throws Error(io).
void make_private_folders(const std::string& path);

/// The same for a folder of the program's own: where it is there and open to others, as an earlier version made it, it
/// is closed to them.
void own_private_folder(const std::string& path);

/// Creates a file for its owner alone (0600) and opens it for writing; refuses one that exists. Throws Error(io).
Descriptor create_new_private_file(const std::string& path);

/// Makes sure that there is a file, one that is created here for its owner alone; one that is there stays as it is, its
/// mode included, since whoever made it may have chosen that. Throws Error(io) where it cannot be written.
void ensure_private_file(const std::string& path);

/// Closes a file of the program's own to others, where it belongs to this user.
void close_to_others(int fd);

/// All or nothing: into a file beside it, which then takes its place. Throws Error(io).
void write_private_file(const std::string& path, const std::string& text);

}  // namespace headroom
