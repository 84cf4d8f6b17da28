// Instance ─► physical device ─► device with one queue.
#include "app/window/vulkan_device.h"

#include <algorithm>
#include <optional>

#include "engine/base/error.h"

namespace headroom {
namespace {

Error device_error(const std::string& sentence) {
  return Error(ErrorKind::device, sentence);
}

/// All items of a Vulkan enumeration: asks for the count, then for the items.
template <typename T, typename Enumerate>
std::vector<T> enumerate(const Enumerate& ask) {
  uint32_t count = 0;
  ask(&count, nullptr);
  std::vector<T> items(count);
  ask(&count, items.data());
  items.resize(std::min<size_t>(count, items.size()));
  return items;
}

bool offers_swapchain(VkPhysicalDevice device) {
  const auto extensions = enumerate<VkExtensionProperties>([&](uint32_t* count, VkExtensionProperties* items) {
    vkEnumerateDeviceExtensionProperties(device, nullptr, count, items);
  });
  return std::any_of(extensions.begin(), extensions.end(), [](const VkExtensionProperties& e) {
    return std::string_view(e.extensionName) == VK_KHR_SWAPCHAIN_EXTENSION_NAME;
  });
}

std::optional<uint32_t> drawing_family(VkPhysicalDevice device, VkSurfaceKHR surface) {
  const auto families = enumerate<VkQueueFamilyProperties>([&](uint32_t* count, VkQueueFamilyProperties* items) {
    vkGetPhysicalDeviceQueueFamilyProperties(device, count, items);
  });
  for (uint32_t i = 0; i < families.size(); ++i) {
    VkBool32 presents = VK_TRUE;
    if (surface != VK_NULL_HANDLE &&
        vkGetPhysicalDeviceSurfaceSupportKHR(device, i, surface, &presents) != VK_SUCCESS) {
      presents = VK_FALSE;
    }
    if ((families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) != 0 && presents == VK_TRUE) return i;
  }
  return std::nullopt;
}

int rank(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return 4;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return 3;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return 2;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      return 0;
    default:
      return 1;
  }
}

}  // namespace

void check_vulkan(VkResult result, const char* what) {
  if (result >= 0) return;
  throw device_error("Vulkan could not " + std::string(what) + " (VkResult " + std::to_string(result) + ")");
}

VulkanDevice::VulkanDevice(const std::vector<const char*>& instance_extensions,
                           const std::function<VkSurfaceKHR(VkInstance)>& make_surface) {
  if (volkInitialize() != VK_SUCCESS) {
    throw device_error("found no Vulkan loader (libvulkan.so.1), expected one to draw the window with");
  }
  try {
    make_instance(instance_extensions);
    if (make_surface) surface = make_surface(instance);
    choose_physical_device();
    make_device();
  } catch (...) {
    destroy();
    throw;
  }
}

VulkanDevice::~VulkanDevice() {
  destroy();
}

void VulkanDevice::destroy() {
  if (device != VK_NULL_HANDLE) vkDestroyDevice(device, nullptr);
  if (surface != VK_NULL_HANDLE) vkDestroySurfaceKHR(instance, surface, nullptr);
  if (instance != VK_NULL_HANDLE) vkDestroyInstance(instance, nullptr);
}

void VulkanDevice::make_instance(const std::vector<const char*>& extensions) {
  VkApplicationInfo application = {};
  application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  application.pApplicationName = "Headroom";
  application.apiVersion = VK_API_VERSION_1_0;
  VkInstanceCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
  info.pApplicationInfo = &application;
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  const VkResult result = vkCreateInstance(&info, nullptr, &instance);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
    throw device_error("found a Vulkan loader but no driver, expected one to draw the window with");
  }
  if (result == VK_ERROR_EXTENSION_NOT_PRESENT) {
    throw device_error("no Vulkan driver here can draw into a window");
  }
  check_vulkan(result, "start");
  volkLoadInstance(instance);
}

void VulkanDevice::choose_physical_device() {
  const auto devices = enumerate<VkPhysicalDevice>(
      [&](uint32_t* count, VkPhysicalDevice* items) { vkEnumeratePhysicalDevices(instance, count, items); });
  int best = -1;
  std::string refused;
  for (VkPhysicalDevice candidate : devices) {
    VkPhysicalDeviceProperties properties;
    vkGetPhysicalDeviceProperties(candidate, &properties);
    const std::optional<uint32_t> family = drawing_family(candidate, surface);
    if (!family || (surface != VK_NULL_HANDLE && !offers_swapchain(candidate))) {
      refused += std::string(refused.empty() ? " (" : ", ") + properties.deviceName + " cannot";
    } else if (rank(properties.deviceType) > best) {
      best = rank(properties.deviceType);
      physical_device = candidate;
      queue_family = *family;
      name = properties.deviceName;
      is_software = properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    }
  }
  if (best >= 0) return;
  throw device_error("found " + std::to_string(devices.size()) + " Vulkan devices, expected one that can draw" +
                     (surface != VK_NULL_HANDLE ? " into this window" : "") + (refused.empty() ? "" : refused + ")"));
}

void VulkanDevice::make_device() {
  const float priority = 1.0f;
  VkDeviceQueueCreateInfo queue_info = {};
  queue_info.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  queue_info.queueFamilyIndex = queue_family;
  queue_info.queueCount = 1;
  queue_info.pQueuePriorities = &priority;
  const char* const swapchain = VK_KHR_SWAPCHAIN_EXTENSION_NAME;
  VkDeviceCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue_info;
  info.enabledExtensionCount = surface != VK_NULL_HANDLE ? 1 : 0;
  info.ppEnabledExtensionNames = &swapchain;
  check_vulkan(vkCreateDevice(physical_device, &info, nullptr, &device), "open the device that draws the window");
  vkGetDeviceQueue(device, queue_family, 0, &queue);
}

uint32_t VulkanDevice::memory_type(uint32_t allowed, VkMemoryPropertyFlags properties) const {
  VkPhysicalDeviceMemoryProperties memory;
  vkGetPhysicalDeviceMemoryProperties(physical_device, &memory);
  for (uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
    if ((allowed >> i & 1) != 0 && (memory.memoryTypes[i].propertyFlags & properties) == properties) return i;
  }
  throw device_error("the device " + name + " has no memory that the program can read pictures from");
}

}  // namespace headroom
