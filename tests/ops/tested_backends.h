// The backends that the operation tests compare with the reference, by name, one instance each for the whole process:
// a device is slow to open. A test case that fails leaves none of them behind for the next.
#pragma once

#include <string>
#include <vector>

#include "engine/backend/backend.h"

namespace headroom::test {

struct TestedBackend {
  std::string name;  // as make_backend takes it
  Backend* backend;
};

/// "cpu", "vulkan-lane" and "vulkan-subgroup", or those that HEADROOM_TEST_BACKENDS names ("cpu,vulkan-dot"). Vulkan is
/// left out, with a warning, where this machine has no device for it.
std::vector<TestedBackend> tested_backends();

/// The same and "vulkan-dot", which differs from "vulkan-subgroup" in its products alone.
std::vector<TestedBackend> product_backends();

/// Those of tested_backends, "vulkan-own-memory" (a device whose memory the host does not see, imitated) and the
/// reference, for tests that state their results.
std::vector<TestedBackend> all_backends();

/// The process's instance of a backend, "cpu-reference" among them.
Backend& shared_backend(const std::string& name);

}  // namespace headroom::test
