// The list of backends in order of preference, and the choice among them. Everything above asks here; nothing else
// names a concrete backend.
#include "engine/backend/registry.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>

#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/reference/reference_backend.h"
#include "engine/backend/vulkan/vulkan_backend.h"
#include "engine/backend/vulkan_probe.h"
#include "engine/base/error.h"
#include "engine/base/platform/platform.h"
#include "engine/base/platform/private_file.h"
#include "engine/base/platform/regular_file.h"

namespace headroom {
namespace {

constexpr const char* not_built = "not built into this program";
constexpr const char* is_software = "a software driver; the CPU backend computes faster on the same processor";

/// Why backends were given up, by name.
class GivenUp {
 public:
  void set(const std::string& name, const std::string& reason) {
    const std::lock_guard lock(mutex_);
    reasons_[name] = reason;
  }
  std::string reason(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = reasons_.find(name);
    return found == reasons_.end() ? "" : found->second;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> reasons_;
};
GivenUp given_up;

std::string memory_text(int64_t left_bytes) {
  return left_bytes < 0 ? "" : ", " + std::to_string(left_bytes >> 20) + " MiB free";
}

std::vector<DeviceEntry> list_vulkan() {
  std::vector<DeviceEntry> entries;
  if (const std::string reason = given_up.reason("vulkan"); !reason.empty())
    return {{.backend = "vulkan", .device = "", .available = false, .skip_reason = reason}};
  try {
    for (const VulkanListing& device : probed_vulkan_devices()) {
      const bool is_first = entries.empty();
      const std::string& refusal = device.refusal;
      entries.push_back({.backend = "vulkan",
                         .device = device.device + " (" + device.kind + memory_text(device.memory_left_bytes) + ")",
                         .available = is_first && refusal.empty(),
                         .skip_reason = !refusal.empty()     ? refusal
                                        : !is_first          ? "the device above is preferred"
                                        : device.is_software ? is_software
                                                             : ""});
    }
    if (entries.empty())
      entries.push_back({.backend = "vulkan", .device = "", .available = false, .skip_reason = "found no device"});
  } catch (const Error& error) {
    entries.push_back({.backend = "vulkan", .device = "", .available = false, .skip_reason = error.what()});
  }
  return entries;
}

constexpr size_t max_drivers_file_bytes = size_t{1} << 20;

/// The file with the fingerprints of drivers that passed the self-test, one per line.
std::filesystem::path tested_drivers_file() {
  return std::filesystem::path(cache_folder()) / "tested-vulkan-drivers";
}

bool was_tested(const std::string& fingerprint) {
  std::istringstream file;
  try {
    file.str(read_regular_file(tested_drivers_file(), max_drivers_file_bytes).value_or(""));
  } catch (const Error&) {
    return false;  // a pipe, or whatever else lies there: the driver is tested again
  }
  std::string line;
  while (std::getline(file, line))
    if (line == fingerprint) return true;
  return false;
}

/// If the folder is not writable, the self-test runs again at each start, which costs a second and nothing else.
void remember_tested(const std::string& fingerprint) {
  try {
    make_private_folders(tested_drivers_file().parent_path().string());
    regular_file_exists(tested_drivers_file());
  } catch (const Error&) {
    return;
  }
  std::ofstream(tested_drivers_file(), std::ios::app) << fingerprint << '\n';
}

/// Some Vulkan drivers compute wrong results, so a driver that is new here must pass the self-test first.
std::unique_ptr<Backend> make_checked_vulkan_backend() {
  const std::vector<VulkanListing> devices = probed_vulkan_devices();
  if (devices.empty()) throw Error(ErrorKind::unsupported, "found no device");
  const VulkanListing& device = devices.front();
  if (!device.refusal.empty()) throw Error(ErrorKind::unsupported, device.device + ": " + device.refusal);
  const std::string mark = fingerprint(device);
  if (!was_tested(mark)) {
    if (const std::string found = probe_vulkan_self_test(); !found.empty())
      throw Error(ErrorKind::unsupported, device.device + ": " + found);
    remember_tested(mark);
  }
  return make_vulkan_backend();
}

std::vector<DeviceEntry> list_cuda() {
  return {{.backend = "cuda", .device = "", .available = false, .skip_reason = not_built}};
}

std::vector<DeviceEntry> list_cpu() {
  return {{.backend = "cpu", .device = cpu_device_title(physical_cores()), .available = true, .skip_reason = ""}};
}

std::unique_ptr<Backend> make_vulkan_variant(VulkanVariant variant) {
  return make_vulkan_backend({.variant = variant});
}

std::unique_ptr<Backend> make_checked_vulkan(int) {
  return make_checked_vulkan_backend();
}

std::unique_ptr<Backend> make_cpu(int n_threads) {
  return make_cpu_backend({.n_threads = n_threads});
}

/// A kind of backend: in the list of devices, unless it is for tests only.
struct BackendKind {
  const char* name;
  std::vector<DeviceEntry> (*list)();               // null: not listed
  std::unique_ptr<Backend> (*make)(int n_threads);  // null: not built
};

// In order of preference. The last five are for tests: the oracle, the variants of Vulkan's shaders, and an imitation,
// on any Vulkan device, of one whose memory the host cannot access.
constexpr BackendKind kinds[] = {
    {"cuda", list_cuda, nullptr},
    {"vulkan", list_vulkan, make_checked_vulkan},
    {"cpu", list_cpu, make_cpu},
    {"cpu-reference", nullptr, [](int) { return make_reference_backend(); }},
    {"vulkan-lane", nullptr, [](int) { return make_vulkan_variant(VulkanVariant::lane); }},
    {"vulkan-subgroup", nullptr, [](int) { return make_vulkan_variant(VulkanVariant::subgroup); }},
    {"vulkan-dot", nullptr, [](int) { return make_vulkan_variant(VulkanVariant::dot); }},
    {"vulkan-own-memory", nullptr,
     [](int) {
       return make_vulkan_backend({.facts_hook = [](vulkan::DeviceFacts& facts) { facts.has_unified_memory = false; }});
     }},
};

/// Null if there is no such name.
const BackendKind* find_kind(const std::string& name) {
  const auto kind =
      std::find_if(std::begin(kinds), std::end(kinds), [&](const BackendKind& k) { return name == k.name; });
  return kind == std::end(kinds) ? nullptr : &*kind;
}

/// Empty if neither the choice nor the environment names a backend.
std::string asked_name(const BackendChoice& choice) {
  if (!choice.name.empty()) return choice.name;
  const char* variable = std::getenv("HEADROOM_BACKEND");
  return variable == nullptr ? "" : variable;
}

}  // namespace

std::vector<DeviceEntry> list_devices() {
  std::vector<DeviceEntry> entries;
  for (const BackendKind& kind : kinds)
    if (kind.list != nullptr)
      for (DeviceEntry& entry : kind.list()) entries.push_back(std::move(entry));
  return entries;
}

void give_up_backend(const std::string& name, const std::string& reason) {
  given_up.set(name, reason);
}

std::string next_backend(const std::string& name) {
  const std::vector<DeviceEntry> devices = list_devices();
  auto entry = std::find_if(devices.begin(), devices.end(), [&](const auto& device) { return device.backend == name; });
  while (entry != devices.end() && (entry->backend == name || !entry->skip_reason.empty())) ++entry;
  return entry == devices.end() ? "cpu" : entry->backend;
}

void prepare_backend(const BackendChoice& choice) {
  const std::string name = asked_name(choice);
  if ((name.empty() || name == "vulkan") && given_up.reason("vulkan").empty()) begin_vulkan_probe();
}

std::vector<DeviceEntry> passed_over(const BackendChoice& choice, const std::string& taken) {
  std::vector<DeviceEntry> entries;
  if (asked_name(choice) == taken) return entries;
  for (DeviceEntry& device : list_devices()) {
    if (device.backend == taken) break;
    if (!device.skip_reason.empty()) entries.push_back(std::move(device));
  }
  return entries;
}

std::string driver_failure() {
  return vulkan_probe_failure();
}

std::unique_ptr<Backend> make_backend(const BackendChoice& choice) {
  const std::string name = asked_name(choice);
  const std::string asked_by = choice.name.empty() ? "HEADROOM_BACKEND" : "--backend";
  if (!name.empty()) {
    const BackendKind* kind = find_kind(name);
    if (kind == nullptr) throw Error(asked_by + " names \"" + name + "\"; expected cuda, vulkan, cpu or cpu-reference");
    if (kind->list != nullptr && name != "cpu") {
      const std::vector<DeviceEntry> devices = kind->list();
      if (!devices.front().available)
        throw Error(ErrorKind::unsupported,
                    "the backend \"" + name + "\" is not available: " + devices.front().skip_reason);
    }
    return kind->make(choice.n_threads);
  }
  const std::vector<DeviceEntry> devices = list_devices();
  for (const DeviceEntry& device : devices) {
    if (!device.skip_reason.empty()) continue;
    try {
      return find_kind(device.backend)->make(choice.n_threads);
    } catch (const Error& error) {
      if (device.backend == "cpu") throw;
      given_up.set(device.backend, error.what());
    }
  }
  throw Error(ErrorKind::unsupported, "there is no backend to compute on");  // the CPU is always listed
}

}  // namespace headroom
