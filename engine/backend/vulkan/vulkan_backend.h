// Backend "vulkan" as the rest of the program sees it: made here, used through engine/backend/backend.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/vulkan/device.h"

namespace headroom {

enum class VulkanVariant {
  by_device,  // as the device asks for
  lane,       // a row of a product a lane: for software drivers
  subgroup,   // a row a subgroup: for GPUs
  dot,        // the same, and quantised weights by integer dot products: for GPUs that have an instruction for them
};

struct VulkanOptions {
  VulkanVariant variant = VulkanVariant::by_device;
  vulkan::TableHook hook{};  // changes the table of calls before the first of them
  vulkan::FactsHook facts_hook{};
};

/// One device as the loader lists it, the preferred one first: discrete, integrated, virtual, software.
struct VulkanListing {
  std::string device;              // its name
  std::string kind;                // "discrete GPU", "integrated GPU", "virtual GPU", "software"
  int64_t memory_left_bytes = -1;  // that this program may take; -1 where the driver does not say
  std::string refusal;             // why it cannot compute here, as a sentence; empty if it can
  std::string driver;              // device, driver and its version
  bool is_software = false;
};

/// Changes with the device, its driver and this program's shaders. Reads all of those.
std::string fingerprint(const VulkanListing& device);

/// Throws Error(unsupported) with the reason where there is no loader or no driver at all.
std::vector<VulkanListing> list_vulkan_devices();

/// For tests of what stands above: changes the table of every backend that is made from now on without a hook of its
/// own.
void set_vulkan_table_hook(vulkan::TableHook hook);

/// On the preferred device. Throws Error(unsupported) where there is none that can compute, or not by that variant.
std::unique_ptr<Backend> make_vulkan_backend(const VulkanOptions& options = {});

}  // namespace headroom
