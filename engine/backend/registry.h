// Lists the backends that this machine offers, in order of preference, with a reason for each that is skipped.
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
  bool available = false;   // it can be chosen by name
  std::string skip_reason;  // a sentence if it is never chosen unless named; else empty
};

/// In order of preference: cuda, vulkan (one entry per device; it computes on the first), cpu.
std::vector<DeviceEntry> list_devices();

struct BackendChoice {
  std::string name;   // empty: HEADROOM_BACKEND if it is set, else the first available
  int n_threads = 0;  // 0: physical cores
};

/// Sets the command that queries Vulkan's loader and drivers in a process of its own. The command gets one more word;
/// its program calls answer_probe with that word and exits. If a driver crashes or hangs there, the list of devices
/// only shows a reason. Without a command, as in tests, this process queries the drivers itself.
void set_probe_program(std::vector<std::string> command);
void answer_probe(const std::string& word);

/// Starts the queries that this choice will need, so that the answer is ready when a backend is made or listed after
/// other work. Every call starts a new query.
void prepare_backend(const BackendChoice& choice);

/// Entries of list_devices() that were skipped before the backend `taken`. If the choice or HEADROOM_BACKEND named it,
/// this is empty and no driver is queried.
std::vector<DeviceEntry> passed_over(const BackendChoice& choice, const std::string& taken);

/// Why Vulkan's loader or a driver failed during the query; empty if it did not. For callers that use Vulkan for
/// something else, as the window does.
std::string driver_failure();

/// Throws Error for an unknown or unavailable name. Some names are not in list_devices(). "cpu-reference" is the plain
/// oracle. "vulkan-own-memory" imitates a device whose memory the host cannot access. "vulkan-lane", "vulkan-subgroup"
/// and "vulkan-dot" are the variants of the shaders for software drivers, for GPUs, and for GPUs with an instruction
/// for dot products of bytes, regardless of the device. If no backend is named, one that does not start is skipped.
std::unique_ptr<Backend> make_backend(const BackendChoice& choice);

/// Marks a backend as unavailable in this process, after a failure that a restart did not fix. list_devices shows the
/// reason from now on. An empty reason makes the backend available again.
void give_up_backend(const std::string& name, const std::string& reason);

/// The first backend after `name` in list_devices() that is not skipped; "cpu" if there is none.
std::string next_backend(const std::string& name);

}  // namespace headroom
