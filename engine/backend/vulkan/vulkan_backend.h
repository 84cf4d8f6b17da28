// Backend "vulkan" as the rest of the program sees it: create it here, use it through engine/backend/backend.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/vulkan/device.h"

namespace headroom {

enum class VulkanVariant {
  by_device,  // chosen for the device
  lane,       // one row of a product per lane: for software drivers
  subgroup,   // one row per subgroup: for GPUs
  dot,        // like subgroup, but integer dot products for quantised weights: for GPUs with an instruction for them
};

struct VulkanOptions {
  VulkanVariant variant = VulkanVariant::by_device;
  vulkan::TableHook hook{};  // changes the table of calls before the first call
  vulkan::FactsHook facts_hook{};
};

/// One device as the loader lists it, the preferred one first: discrete, integrated, virtual, software.
struct VulkanListing {
  std::string device;              // its name
  std::string kind;                // "discrete GPU", "integrated GPU", "virtual GPU", "software"
  int64_t memory_left_bytes = -1;  // that this program may allocate; -1 if the driver does not report it
  std::string refusal;             // why it cannot compute here, as a sentence; empty if it can
  std::string driver;              // device, driver and its version
  bool is_software = false;
};

/// Changes with the device, its driver and this program's shaders, all of which it reads.
std::string fingerprint(const VulkanListing& device);

/// Throws Error(unsupported) with the reason if there is no loader or no driver.
std::vector<VulkanListing> list_vulkan_devices();

/// For tests of higher layers: changes the table of every backend that is made from now on without its own hook.
void set_vulkan_table_hook(vulkan::TableHook hook);

/// Uses the preferred device. Throws Error(unsupported) if no device can compute, or none with that variant.
std::unique_ptr<Backend> make_vulkan_backend(const VulkanOptions& options = {});

}  // namespace headroom
