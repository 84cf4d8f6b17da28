// Vulkan's loader and drivers, asked in a process of their own ─► the devices that they list. Drivers are many: one
// that crashes, hangs or takes all memory while it is asked ends that process only. Stands between the registry and the
// Vulkan backend; a program that named no process to ask in (set_probe_program in registry.h) asks in its own.
#pragma once

#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/vulkan/vulkan_backend.h"

namespace headroom {

/// Starts to ask, anew.
void begin_vulkan_probe();

/// Waits for the answer, and starts to ask where nobody did. Throws Error(unsupported) with the reason for no devices.
std::vector<VulkanListing> probed_vulkan_devices();

/// Why the loader or a driver failed while it was asked, as a sentence; empty where there was an answer.
std::string vulkan_probe_failure();

/// Runs the self-test of a driver that is new here. Gives what it found wrong; empty: nothing.
std::string probe_vulkan_self_test();

}  // namespace headroom
