// The list of backends in order of preference, and the choice among them. Everything above asks here; nothing else
// names a concrete backend.
#include "engine/backend/registry.h"

#include <algorithm>
#include <cstdlib>

#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/reference/reference_backend.h"
#include "engine/backend/vulkan/vulkan_backend.h"
#include "engine/base/error.h"
#include "engine/base/platform/platform.h"

namespace headroom {
namespace {

constexpr const char* not_built = "not built into this program";

}  // namespace

std::vector<DeviceEntry> list_devices() {
  return {{.backend = "cuda", .device = "", .available = false, .skip_reason = not_built},
          {.backend = "vulkan", .device = "", .available = false, .skip_reason = not_built},
          {.backend = "cpu", .device = cpu_device_title(physical_cores()), .available = true, .skip_reason = ""}};
}

std::unique_ptr<Backend> make_backend(const BackendChoice& choice) {
  std::string name = choice.name;
  std::string asked_by = "--backend";
  if (name.empty()) {
    const char* variable = std::getenv("HEADROOM_BACKEND");
    if (variable != nullptr) name = variable;
    asked_by = "HEADROOM_BACKEND";
  }
  if (name == "cpu-reference") return make_reference_backend();
  if (name == "vulkan") return make_vulkan_backend();
  if (name == "vulkan-lane") return make_vulkan_backend({.variant = VulkanVariant::lane});
  if (name == "vulkan-subgroup") return make_vulkan_backend({.variant = VulkanVariant::subgroup});

  const std::vector<DeviceEntry> devices = list_devices();
  const auto entry = std::find_if(devices.begin(), devices.end(), [&](const DeviceEntry& device) {
    return name.empty() ? device.available : device.backend == name;
  });
  if (entry == devices.end())
    throw Error(asked_by + " names \"" + name + "\"; expected cuda, vulkan, cpu or cpu-reference");
  if (!entry->available) throw Error(ErrorKind::unsupported, "the backend \"" + name + "\" is " + entry->skip_reason);
  return make_cpu_backend({.n_threads = choice.n_threads});
}

}  // namespace headroom
