// A text that an option names ─► its bytes: a file, a pipe, or standard input. Stands before everything that a command
// does with a prompt; what the bytes mean is checked by whoever takes them.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>

#include "app/streams.h"

namespace headroom {

/// More than any context holds, and less than what a machine lacks.
inline constexpr size_t max_text_bytes = size_t{256} << 20;

/// Bytes of a file or, for "-", of `io.in`; throws Error for a folder, for what cannot be read, and for more than
/// max_text_bytes. A named pipe is waited for, which io.err says.
std::string read_text(const std::string& path, Streams& io);

/// The same for what is always a path. notes: hears that a pipe is waited for.
std::string read_file(const std::string& path, std::ostream& notes, size_t max_bytes = max_text_bytes);

}  // namespace headroom
