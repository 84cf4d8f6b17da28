// The Vulkan device that draws the window: loaded at run time, separate from any device that computes. Used by both
// hosts; knows no ImGui.
#pragma once

#include <volk.h>

#include <functional>
#include <string>
#include <vector>

namespace headroom {

/// Throws Error(device) with a sentence if a Vulkan call failed. `what`: "make the swap chain".
void check_vulkan(VkResult result, const char* what);

class VulkanDevice {
 public:
  /// The best device that can draw (and present to the surface): discrete before integrated before software. Throws
  /// Error(device) with the reason if there is none. make_surface: null for pictures without a window.
  explicit VulkanDevice(const std::vector<const char*>& instance_extensions,
                        const std::function<VkSurfaceKHR(VkInstance)>& make_surface);
  ~VulkanDevice();
  VulkanDevice(const VulkanDevice&) = delete;
  VulkanDevice& operator=(const VulkanDevice&) = delete;

  VkInstance instance = VK_NULL_HANDLE;
  VkSurfaceKHR surface = VK_NULL_HANDLE;
  VkPhysicalDevice physical_device = VK_NULL_HANDLE;
  VkDevice device = VK_NULL_HANDLE;
  VkQueue queue = VK_NULL_HANDLE;
  uint32_t queue_family = 0;
  std::string name;
  bool is_software = false;

  /// The index of a memory type that the resource allows (memoryTypeBits) and that has the properties.
  uint32_t memory_type(uint32_t allowed, VkMemoryPropertyFlags properties) const;

 private:
  void make_instance(const std::vector<const char*>& extensions);
  void choose_physical_device();
  void make_device();
  void destroy();
};

}  // namespace headroom
