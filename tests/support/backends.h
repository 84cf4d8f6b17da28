// Backends for tests of what stands above them. A Vulkan device is slow to open and to compile for, so a program's
// tests share one of each name; a backend holds one cache at a time.
#pragma once

#include <string>

#include "engine/backend/backend.h"

namespace headroom::test {

/// False for a Vulkan backend on a machine without a device for it, or for that variant; a warning says so once.
bool is_there(const std::string& backend_name);

/// The program's own of that name, for small models: software drivers get no threads, which cost more than they help.
Backend& shared_small_backend(const std::string& name);

}  // namespace headroom::test
