// Queries Vulkan's loader and drivers in a process of their own ─► the devices that they list. A driver that crashes,
// hangs or uses all memory during the query ends only that process. Stands between the registry and the Vulkan backend.
// If the program set no command for that process (set_probe_program in registry.h), it queries them in its own.
#pragma once

#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/vulkan/vulkan_backend.h"

namespace headroom {

/// Starts a new query.
void begin_vulkan_probe();

/// Waits for the answer; starts the query if nobody has. Throws Error(unsupported) with the reason if the query failed.
std::vector<VulkanListing> probed_vulkan_devices();

/// Why the loader or a driver failed during the query, as a sentence; empty if it answered.
std::string vulkan_probe_failure();

/// Runs the self-test of a driver that is new here. Returns a sentence about the first fault; empty if there is none.
std::string probe_vulkan_self_test();

}  // namespace headroom
