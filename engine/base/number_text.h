// Bytes and counts ─► text for people, the same in the terminal and in the window.
#pragma once

#include <cstdint>
#include <string>

namespace headroom {

/// "12.3 MiB"; bytes below 1 KiB, KiB below 1 MiB, GiB from 1 GiB.
std::string bytes_text(int64_t bytes);

/// "12,345", in groups of three.
std::string count_text(int64_t count);

}  // namespace headroom
