// Backends for tests of the code above them. A Vulkan device is slow to open and its shaders are slow to compile, so
// the tests of one program share one backend per name. A backend holds one cache at a time.
#pragma once

#include <string>

#include "engine/backend/backend.h"

namespace headroom::test {

/// False for a Vulkan backend if the machine has no device for it, or none for that variant; warns once.
bool is_there(const std::string& backend_name);

/// The program's shared backend of that name, for small models. Software drivers run without extra threads, which would
/// cost more than they help.
Backend& shared_small_backend(const std::string& name);

}  // namespace headroom::test
