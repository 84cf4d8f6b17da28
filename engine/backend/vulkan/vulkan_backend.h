// Backend "vulkan" as the rest of the program sees it: made here, used through engine/backend/backend.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/vulkan/device.h"

namespace headroom {

enum class VulkanVariant {
  by_device,  // as the device's type asks for
  lane,       // a row of a product a lane: for software drivers
  subgroup,   // a row a subgroup: for GPUs
};

struct VulkanOptions {
  VulkanVariant variant = VulkanVariant::by_device;
  vulkan::TableHook hook{};  // changes the table of calls before the first of them
};

/// Throws Error(unsupported) with a sentence that begins with "skipped: " where there is no device that can compute.
std::unique_ptr<Backend> make_vulkan_backend(const VulkanOptions& options = {});

}  // namespace headroom
