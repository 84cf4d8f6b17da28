// Vulkan's devices: lists those of this machine in order of preference, and opens one of them for computing. Everything
// else in this folder builds on it; it knows no operation.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/backend/vulkan/api.h"

namespace headroom::vulkan {

/// The capabilities of a device that matter to this backend.
struct DeviceFacts {
  std::string name;
  std::string driver;  // name and version
  std::array<uint8_t, VK_UUID_SIZE> pipeline_cache_uuid{};
  VkPhysicalDeviceType type = VK_PHYSICAL_DEVICE_TYPE_OTHER;
  std::string refusal;  // why it cannot compute here; empty if it can

  uint32_t queue_family = 0;
  uint32_t subgroup_size = 0;
  uint32_t min_subgroup_size = 0, max_subgroup_size = 0;  // equal if the size cannot be required
  bool has_subgroup_size_control = false;
  bool has_memory_budget = false;
  bool has_queue_priority = false;    // VK_KHR_global_priority or its EXT twin
  bool has_unified_memory = false;    // the host sees all of the device's memory
  bool has_int64 = false;             // in shaders
  bool has_integer_dot = false;       // four signed bytes: VK_KHR_shader_integer_dot_product
  bool has_fast_integer_dot = false;  // it is one instruction
  uint64_t max_storage_range = 0;
  uint64_t max_allocation_bytes = 0;
  uint32_t max_groups = 0;  // in x
  uint32_t storage_alignment = 0;
  uint64_t max_texels = 0;
  double timestamp_ns = 0;  // per tick; 0: no timestamps

  bool is_software() const { return type == VK_PHYSICAL_DEVICE_TYPE_CPU; }
};

/// A Vulkan instance. Throws Error(unsupported) with a message for the user if there is no loader or no driver.
class Instance {
 public:
  Instance();
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  VkInstance handle() const { return handle_; }
  /// Order: discrete, integrated, virtual, software. Devices with a refusal are at the end.
  const std::vector<DeviceFacts>& devices() const { return facts_; }
  VkPhysicalDevice physical(size_t device) const { return physical_[device]; }

 private:
  VkInstance handle_ = VK_NULL_HANDLE;
  std::vector<VkPhysicalDevice> physical_;  // same order as facts_
  std::vector<DeviceFacts> facts_;
};

/// Changes a device's table of calls before its first use. Tests make calls fail this way.
using TableHook = std::function<void(VolkDeviceTable&)>;
/// Changes the facts about a device. Tests set smaller limits this way.
using FactsHook = std::function<void(DeviceFacts&)>;

/// The preferred device, opened with one queue.
class Device {
 public:
  explicit Device(const TableHook& hook = {}, const FactsHook& facts_hook = {});
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const DeviceFacts& facts() const { return facts_; }
  VkPhysicalDevice physical() const { return physical_; }
  VkDevice handle() const { return handle_; }
  VkQueue queue() const { return queue_; }

  VolkDeviceTable call{};

 private:
  Instance instance_;
  DeviceFacts facts_;
  VkPhysicalDevice physical_ = VK_NULL_HANDLE;
  VkDevice handle_ = VK_NULL_HANDLE;
  VkQueue queue_ = VK_NULL_HANDLE;
};

}  // namespace headroom::vulkan
