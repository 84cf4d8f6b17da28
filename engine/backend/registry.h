// Which backends this machine offers, in order of preference, with a reason for each that is skipped.
// The registry is the only place that names concrete backends.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/backend/backend.h"

namespace headroom {

struct DeviceEntry {
  std::string backend;  // "cuda", "vulkan", "cpu"
  std::string device;   // what it would run on; empty if not available
  bool available = false;
  std::string skip_reason;  // a sentence where not available or not preferred
};

/// In order: cuda, vulkan, cpu.
std::vector<DeviceEntry> list_devices();

struct BackendChoice {
  std::string name;   // empty: the first available, or HEADROOM_BACKEND where that is set
  int n_threads = 0;  // 0: physical cores
};

/// Throws Error for an unknown or unavailable name. "cpu-reference" is the plain oracle.
std::unique_ptr<Backend> make_backend(const BackendChoice& choice);

}  // namespace headroom
