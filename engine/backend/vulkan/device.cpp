// Finds and opens Vulkan devices. See device.h.
#include "engine/backend/vulkan/device.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>

namespace headroom::vulkan {
namespace {

bool has_extension(const std::vector<VkExtensionProperties>& extensions, const char* name) {
  return std::any_of(extensions.begin(), extensions.end(),
                     [&](const auto& extension) { return std::strcmp(extension.extensionName, name) == 0; });
}

std::vector<VkExtensionProperties> extensions_of(VkPhysicalDevice device) {
  uint32_t count = 0;
  check(vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr), "list a Vulkan device's extensions");
  std::vector<VkExtensionProperties> extensions(count);
  check(vkEnumerateDeviceExtensionProperties(device, nullptr, &count, extensions.data()),
        "list a Vulkan device's extensions");
  return extensions;
}

/// The first family that computes. It prefers one without graphics, so that a desktop's frames do not wait behind a
/// submission.
int find_queue_family(VkPhysicalDevice device, uint32_t& timestamp_bits) {
  uint32_t count = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
  int found = -1;
  for (uint32_t i = 0; i < count; ++i) {
    if ((families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) == 0) continue;
    const bool is_compute_only = (families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) == 0;
    if (found >= 0 && !is_compute_only) continue;
    found = static_cast<int>(i);
    timestamp_bits = families[i].timestampValidBits;
    if (is_compute_only) break;
  }
  return found;
}

bool is_memory_unified(VkPhysicalDevice device) {
  VkPhysicalDeviceMemoryProperties memory{};
  vkGetPhysicalDeviceMemoryProperties(device, &memory);
  bool all = true;
  for (uint32_t heap = 0; heap < memory.memoryHeapCount; ++heap)
    all = all && (memory.memoryHeaps[heap].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0;
  return all;
}

std::string version_text(uint32_t version) {
  return std::to_string(VK_API_VERSION_MAJOR(version)) + "." + std::to_string(VK_API_VERSION_MINOR(version));
}

/// Appends a struct to a pNext chain of queries or requests.
template <typename First, typename Next>
void chain(First& first, Next& next) {
  next.pNext = first.pNext;
  first.pNext = &next;
}

DeviceFacts ask(VkPhysicalDevice device) {
  VkPhysicalDeviceSubgroupSizeControlProperties sizes{};
  sizes.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES;
  VkPhysicalDeviceShaderIntegerDotProductPropertiesKHR dots{};
  dots.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES_KHR;
  VkPhysicalDeviceVulkan12Properties v12{};
  v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES;
  VkPhysicalDeviceVulkan11Properties v11{};
  v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES;
  v11.pNext = &v12;
  VkPhysicalDeviceProperties2 properties{};
  properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;

  DeviceFacts facts;
  vkGetPhysicalDeviceProperties(device, &properties.properties);
  facts.name = properties.properties.deviceName;
  facts.type = properties.properties.deviceType;
  if (properties.properties.apiVersion < VK_API_VERSION_1_2) {
    facts.refusal = "its driver speaks Vulkan " + version_text(properties.properties.apiVersion) + "; expected 1.2";
    return facts;
  }
  const std::vector<VkExtensionProperties> extensions = extensions_of(device);
  facts.has_subgroup_size_control = has_extension(extensions, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
  facts.has_integer_dot = has_extension(extensions, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
  if (facts.has_subgroup_size_control) chain(v12, sizes);
  if (facts.has_integer_dot) chain(v12, dots);
  properties.pNext = &v11;
  vkGetPhysicalDeviceProperties2(device, &properties);

  const VkPhysicalDeviceLimits& limits = properties.properties.limits;
  facts.driver =
      std::string(v12.driverName) + " " + v12.driverInfo + " " + std::to_string(properties.properties.driverVersion);
  std::copy_n(properties.properties.pipelineCacheUUID, VK_UUID_SIZE, facts.pipeline_cache_uuid.begin());
  facts.subgroup_size = facts.min_subgroup_size = facts.max_subgroup_size = v11.subgroupSize;
  facts.has_memory_budget = has_extension(extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  facts.has_queue_priority = has_extension(extensions, VK_KHR_GLOBAL_PRIORITY_EXTENSION_NAME) ||
                             has_extension(extensions, VK_EXT_GLOBAL_PRIORITY_EXTENSION_NAME);
  facts.has_unified_memory = is_memory_unified(device);
  facts.max_storage_range = limits.maxStorageBufferRange;
  facts.max_allocation_bytes = v11.maxMemoryAllocationSize;
  facts.max_groups = limits.maxComputeWorkGroupCount[0];
  facts.storage_alignment = static_cast<uint32_t>(limits.minStorageBufferOffsetAlignment);
  facts.max_texels = limits.maxTexelBufferElements;

  VkPhysicalDeviceVulkan12Features features12{};
  features12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  VkPhysicalDeviceSubgroupSizeControlFeatures size_control{};
  size_control.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
  VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR integer_dot{};
  integer_dot.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR;
  if (facts.has_subgroup_size_control) chain(features12, size_control);
  if (facts.has_integer_dot) chain(features12, integer_dot);
  VkPhysicalDeviceFeatures2 features{};
  features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  features.pNext = &features12;
  vkGetPhysicalDeviceFeatures2(device, &features);
  facts.has_int64 = features.features.shaderInt64 == VK_TRUE;
  facts.has_subgroup_size_control = facts.has_subgroup_size_control && size_control.subgroupSizeControl == VK_TRUE &&
                                    (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
  if (facts.has_subgroup_size_control) {
    facts.min_subgroup_size = sizes.minSubgroupSize;
    facts.max_subgroup_size = sizes.maxSubgroupSize;
  }
  facts.has_integer_dot = facts.has_integer_dot && integer_dot.shaderIntegerDotProduct == VK_TRUE;
  facts.has_fast_integer_dot = facts.has_integer_dot && dots.integerDotProduct4x8BitPackedSignedAccelerated == VK_TRUE;

  uint32_t timestamp_bits = 0;
  const int family = find_queue_family(device, timestamp_bits);
  constexpr VkSubgroupFeatureFlags needed_subgroup = VK_SUBGROUP_FEATURE_BASIC_BIT |
                                                     VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
                                                     VK_SUBGROUP_FEATURE_BALLOT_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
  if (family < 0)
    facts.refusal = "it has no queue that computes";
  else if (features12.bufferDeviceAddress != VK_TRUE)
    facts.refusal = "its driver lacks bufferDeviceAddress, which pages of the cache are found by";
  else if (features12.timelineSemaphore != VK_TRUE)
    facts.refusal = "its driver lacks timelineSemaphore";
  else if ((v11.subgroupSupportedOperations & needed_subgroup) != needed_subgroup ||
           (v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) == 0)
    facts.refusal = "its driver lacks sums or broadcasts over a subgroup";
  else if (v11.subgroupSize < 4 || v11.subgroupSize > 128)
    facts.refusal = "its subgroups have " + std::to_string(v11.subgroupSize) + " lanes; expected 4 to 128";
  if (family >= 0) facts.queue_family = static_cast<uint32_t>(family);
  if (timestamp_bits > 0) facts.timestamp_ns = static_cast<double>(limits.timestampPeriod);
  return facts;
}

int rank(const DeviceFacts& facts) {
  if (!facts.refusal.empty()) return 9;
  switch (facts.type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return 0;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return 1;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return 2;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      return 4;
    default:
      return 3;
  }
}

}  // namespace

const char* result_name(VkResult result) {
  switch (result) {
#define HEADROOM_RESULT(name) \
  case name:                  \
    return #name;
    HEADROOM_RESULT(VK_SUCCESS)
    HEADROOM_RESULT(VK_NOT_READY)
    HEADROOM_RESULT(VK_TIMEOUT)
    HEADROOM_RESULT(VK_INCOMPLETE)
    HEADROOM_RESULT(VK_ERROR_OUT_OF_HOST_MEMORY)
    HEADROOM_RESULT(VK_ERROR_OUT_OF_DEVICE_MEMORY)
    HEADROOM_RESULT(VK_ERROR_INITIALIZATION_FAILED)
    HEADROOM_RESULT(VK_ERROR_DEVICE_LOST)
    HEADROOM_RESULT(VK_ERROR_MEMORY_MAP_FAILED)
    HEADROOM_RESULT(VK_ERROR_LAYER_NOT_PRESENT)
    HEADROOM_RESULT(VK_ERROR_EXTENSION_NOT_PRESENT)
    HEADROOM_RESULT(VK_ERROR_FEATURE_NOT_PRESENT)
    HEADROOM_RESULT(VK_ERROR_INCOMPATIBLE_DRIVER)
    HEADROOM_RESULT(VK_ERROR_TOO_MANY_OBJECTS)
    HEADROOM_RESULT(VK_ERROR_FRAGMENTED_POOL)
    HEADROOM_RESULT(VK_ERROR_OUT_OF_POOL_MEMORY)
    HEADROOM_RESULT(VK_ERROR_INVALID_EXTERNAL_HANDLE)
    HEADROOM_RESULT(VK_ERROR_NOT_PERMITTED_KHR)
#undef HEADROOM_RESULT
    default:
      return "an unknown error";
  }
}

void check(VkResult result, const char* what) {
  if (result == VK_SUCCESS) return;
  const bool is_memory = result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY ||
                         result == VK_ERROR_OUT_OF_POOL_MEMORY || result == VK_ERROR_FRAGMENTED_POOL ||
                         result == VK_ERROR_TOO_MANY_OBJECTS;
  throw Error(is_memory ? ErrorKind::out_of_memory : ErrorKind::device,
              std::string("the Vulkan device could not ") + what + ": " + result_name(result));
}

Instance::Instance() {
  if (volkInitialize() != VK_SUCCESS) throw Error(ErrorKind::unsupported, "found no Vulkan loader (libvulkan.so.1)");
  if (volkGetInstanceVersion() < VK_API_VERSION_1_2)
    throw Error(ErrorKind::unsupported,
                "the Vulkan loader speaks " + version_text(volkGetInstanceVersion()) + "; expected 1.2");
  VkApplicationInfo application{};
  application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  application.pApplicationName = "Headroom";
  application.apiVersion = VK_API_VERSION_1_2;
  VkInstanceCreateInfo create{};
  create.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
  create.pApplicationInfo = &application;
  const VkResult result = vkCreateInstance(&create, nullptr, &handle_);
  if (result != VK_SUCCESS)
    throw Error(ErrorKind::unsupported,
                std::string("found no Vulkan driver that starts (") + result_name(result) + ")");
  volkLoadInstanceOnly(handle_);
  try {
    uint32_t count = 0;
    check(vkEnumeratePhysicalDevices(handle_, &count, nullptr), "be listed");
    std::vector<VkPhysicalDevice> found(count);
    check(vkEnumeratePhysicalDevices(handle_, &count, found.data()), "be listed");
    found.resize(count);
    std::vector<DeviceFacts> facts;
    for (VkPhysicalDevice device : found) facts.push_back(ask(device));
    std::vector<size_t> order(found.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return rank(facts[a]) < rank(facts[b]); });
    for (const size_t i : order) {
      physical_.push_back(found[i]);
      facts_.push_back(facts[i]);
    }
  } catch (...) {
    vkDestroyInstance(handle_, nullptr);
    throw;
  }
}

Instance::~Instance() {
  vkDestroyInstance(handle_, nullptr);
}

Device::Device(const TableHook& hook, const FactsHook& facts_hook) {
  if (instance_.devices().empty()) throw Error(ErrorKind::unsupported, "the Vulkan loader knows no device");
  facts_ = instance_.devices().front();
  if (!facts_.refusal.empty()) throw Error(ErrorKind::unsupported, facts_.name + ": " + facts_.refusal);
  if (facts_hook) facts_hook(facts_);
  physical_ = instance_.physical(0);

  const std::vector<VkExtensionProperties> present = extensions_of(physical_);
  std::vector<const char*> extensions;
  const auto use = [&](const char* name) {
    if (!has_extension(present, name)) return false;
    extensions.push_back(name);
    return true;
  };
  if (facts_.has_subgroup_size_control) use(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
  if (facts_.has_memory_budget) use(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  if (facts_.has_integer_dot) use(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);

  VkPhysicalDeviceSubgroupSizeControlFeatures size_control{};
  size_control.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
  size_control.subgroupSizeControl = VK_TRUE;
  VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR integer_dot{};
  integer_dot.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR;
  integer_dot.shaderIntegerDotProduct = VK_TRUE;
  VkPhysicalDeviceVulkan12Features features{};
  features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  features.bufferDeviceAddress = VK_TRUE;
  features.timelineSemaphore = VK_TRUE;
  if (facts_.has_subgroup_size_control) chain(features, size_control);
  if (facts_.has_integer_dot) chain(features, integer_dot);

  const float priority = 0.5f;
  VkDeviceQueueGlobalPriorityCreateInfoKHR global{};
  global.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_GLOBAL_PRIORITY_CREATE_INFO_KHR;
  global.globalPriority = VK_QUEUE_GLOBAL_PRIORITY_LOW_KHR;  // the desktop's frames go first
  VkDeviceQueueCreateInfo queue{};
  queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  queue.queueFamilyIndex = facts_.queue_family;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  if (facts_.has_queue_priority &&
      (use(VK_KHR_GLOBAL_PRIORITY_EXTENSION_NAME) || use(VK_EXT_GLOBAL_PRIORITY_EXTENSION_NAME)))
    queue.pNext = &global;
  VkPhysicalDeviceFeatures base_features{};
  base_features.shaderInt64 = facts_.has_int64 ? VK_TRUE : VK_FALSE;
  VkDeviceCreateInfo create{};
  create.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  create.pNext = &features;
  create.pEnabledFeatures = &base_features;
  create.queueCreateInfoCount = 1;
  create.pQueueCreateInfos = &queue;
  create.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  create.ppEnabledExtensionNames = extensions.data();
  VkResult result = vkCreateDevice(physical_, &create, nullptr, &handle_);
  if (result == VK_ERROR_NOT_PERMITTED_KHR && queue.pNext != nullptr) {
    queue.pNext = nullptr;  // the system requires privileges for it
    result = vkCreateDevice(physical_, &create, nullptr, &handle_);
  }
  check(result, "be opened");
  volkLoadDeviceTable(&call, handle_);
  if (hook) hook(call);
  call.vkGetDeviceQueue(handle_, facts_.queue_family, 0, &queue_);
}

Device::~Device() {
  call.vkDestroyDevice(handle_, nullptr);
}

}  // namespace headroom::vulkan
