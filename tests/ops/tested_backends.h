// The backends that the operation tests compare with the reference, by name, one instance each for the whole process:
// a device is slow to open. A test case that fails leaves none of them behind for the next.
#pragma once

#include <string>
#include <vector>

#include "engine/backend/backend.h"

namespace headroom::test {

struct TestedBackend {
  std::string name;  // the name for make_backend
  Backend* backend;
};

/// "cpu", "vulkan-lane" and "vulkan-subgroup", or those that HEADROOM_TEST_BACKENDS names ("cpu,vulkan-dot"). Vulkan is
/// left out, with a warning, if this machine has no device for it.
std::vector<TestedBackend> tested_backends();

/// tested_backends() and "vulkan-dot", which differs from "vulkan-subgroup" only in its products.
std::vector<TestedBackend> product_backends();

/// Those of tested_backends, "vulkan-own-memory" (a device whose memory the host does not see, imitated) and the
/// reference, for tests that state their results.
std::vector<TestedBackend> all_backends();

/// The process's instance of a backend, also of "cpu-reference".
Backend& shared_backend(const std::string& name);

}  // namespace headroom::test
