// A text that an option names ─► its bytes: a file, a pipe, or standard input. This is the first step of every command
// with a prompt. The caller checks what the bytes mean.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>

#include "app/console.h"

namespace headroom {

/// More than any context holds, but small enough for the memory of any machine.
inline constexpr size_t max_text_bytes = size_t{256} << 20;

/// Bytes of a file or, for "-", of `io.in`; throws Error for a folder, for what cannot be read, and for more than
/// max_text_bytes. If it has to wait for a named pipe, it says so on io.err.
std::string read_text(const std::string& path, Console& io);

/// Like read_text, but "-" is an ordinary path. notes: receives the line about waiting for a pipe.
std::string read_file(const std::string& path, std::ostream& notes, size_t max_bytes = max_text_bytes);

}  // namespace headroom
