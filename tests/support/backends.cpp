// See backends.h.
#include "tests/support/backends.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <memory>

#include "engine/backend/registry.h"
#include "engine/base/error.h"

namespace headroom::test {

bool is_there(const std::string& backend_name) {
  if (!backend_name.starts_with("vulkan")) return true;
  static const bool has_vulkan = [] {
    const std::vector<DeviceEntry> devices = list_devices();
    const bool found = std::any_of(devices.begin(), devices.end(), [](const DeviceEntry& device) {
      return device.backend == "vulkan" && device.available;
    });
    if (!found) WARN("not tested on Vulkan: there is no device for it");
    return found;
  }();
  if (!has_vulkan || backend_name != "vulkan-dot") return has_vulkan;
  static const bool has_dots = [] {
    try {
      make_backend({.name = "vulkan-dot"});
      return true;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::unsupported) throw;
      WARN("not tested with integer dot products: " << error.what());
      return false;
    }
  }();
  return has_dots;
}

Backend& shared_small_backend(const std::string& name) {
  static std::map<std::string, std::unique_ptr<Backend>> backends;
  std::unique_ptr<Backend>& backend = backends[name];
  if (backend == nullptr) {
    const char* threads = std::getenv("LP_NUM_THREADS");
    if (threads == nullptr) setenv("LP_NUM_THREADS", "0", 1);
    backend = make_backend({.name = name, .n_threads = 2});
    if (threads == nullptr) unsetenv("LP_NUM_THREADS");
  }
  return *backend;
}

}  // namespace headroom::test
