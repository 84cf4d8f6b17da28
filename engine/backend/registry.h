// Which backends this machine offers, in order of preference, with a reason for each that is skipped.
// The registry is the only place that names concrete backends.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/backend/backend.h"

namespace headroom {

struct DeviceEntry {
  std::string backend;      // "cuda", "vulkan", "cpu"
  std::string device;       // what it would run on; empty if there is none
  bool available = false;   // it can be asked for by name
  std::string skip_reason;  // a sentence where it is not taken unless it is asked for
};

/// In order of preference: cuda, vulkan (a line for each of its devices; it computes on the first), cpu.
std::vector<DeviceEntry> list_devices();

struct BackendChoice {
  std::string name;   // empty: the first available, or HEADROOM_BACKEND where that is set
  int n_threads = 0;  // 0: physical cores
};

/// Vulkan's loader and drivers are asked what they offer by this command and one more word; its program calls
/// answer_probe with that word and ends. A driver that crashes or hangs then costs a reason in the list of devices.
/// Without a command, as in tests, this process asks by itself.
void set_probe_program(std::vector<std::string> command);
void answer_probe(const std::string& word);

/// Starts to ask what this choice will need, so that the answer is there when a backend is made or listed after other
/// work. Asks anew each time.
void prepare_backend(const BackendChoice& choice);

/// Those of the list that were passed over for the backend that was taken. Nobody is asked where the choice named it.
std::vector<DeviceEntry> passed_over(const BackendChoice& choice, const std::string& taken);

/// Why Vulkan's loader or a driver failed while it was asked; empty where it did not. For whoever uses Vulkan for
/// something else, as the window does.
std::string driver_failure();

/// Throws Error for an unknown or unavailable name. Beside those that are listed: "cpu-reference" is the plain oracle,
/// "vulkan-own-memory" imitates a device whose memory the host does not see;
/// "vulkan-lane", "vulkan-subgroup" and "vulkan-dot" are the variants of the shaders for software drivers, for GPUs and
/// for GPUs with an instruction for dot products of bytes, whatever the device. A backend that nobody asked for by name
/// and that does not start is passed over.
std::unique_ptr<Backend> make_backend(const BackendChoice& choice);

/// The backend failed in a way that another start did not help: list_devices gives the reason from now on, and the
/// backend is not available in this process any more. An empty reason takes it back.
void give_up_backend(const std::string& name, const std::string& reason);

/// The preferred one of those that are listed behind `name`; "cpu" at last.
std::string next_backend(const std::string& name);

}  // namespace headroom
