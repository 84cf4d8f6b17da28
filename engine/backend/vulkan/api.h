// Vulkan as this backend calls it: volk's function tables, and the check for every call. It runs in release builds too.
#pragma once

#include <volk.h>

#include "engine/base/error.h"

namespace headroom::vulkan {

/// "VK_ERROR_DEVICE_LOST"
const char* result_name(VkResult result);

/// Throws Error(out_of_memory) or Error(device) unless the call succeeded; `what` says what was tried.
void check(VkResult result, const char* what);

}  // namespace headroom::vulkan
