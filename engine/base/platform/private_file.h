// Files and folders that hold words of a conversation (Linux): traces, recordings, chats, settings, results. Only their
// owner may read them, whatever the umask allows. Everything that writes such a file uses this; it knows nothing about
// the contents.
#pragma once

#include <string>

#include "engine/base/platform/fd_io.h"

namespace headroom {

/// Creates the folder and its missing parents with mode 0700, as the XDG rules require. Folders that exist are not
/// changed. An empty path is the current folder. Throws Error(io).
void make_private_folders(const std::string& path);

/// Like make_private_folders, for a folder that belongs to this program. If the folder exists and others can access it
/// (an earlier version created it so), that access is removed.
void own_private_folder(const std::string& path);

/// Creates a file with mode 0600 and opens it for writing. Throws Error(io), also if the file exists.
Descriptor create_new_private_file(const std::string& path);

/// Creates the file with mode 0600 if it does not exist. An existing file keeps its contents and its mode, since the
/// user may have chosen the mode. Throws Error(io) if the file cannot be written.
void ensure_private_file(const std::string& path);

/// Removes the access of other users to a file or folder of this program, if this user owns it.
void close_to_others(int fd);

/// Replaces the file atomically: writes `path`.new, then renames it. Throws Error(io).
void write_private_file(const std::string& path, const std::string& text);

}  // namespace headroom
