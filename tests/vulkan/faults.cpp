// Functions that wrap the driver's. See faults.h.
#include "tests/vulkan/faults.h"

#include <algorithm>
#include <tuple>

namespace headroom::vulkan::test {
namespace {

/// Objects that a call made, or is about to destroy.
void count(const char* kind, int n) {
  Faults::instance().living[kind] += n;
}

template <size_t n>
struct Name {
  constexpr Name(const char (&text)[n]) { std::copy_n(text, n, value); }
  char value[n];
};

/// A call that may fail. kind: the objects that it makes; argument number `count_at` says how many (or one).
template <auto member, Name name, Name kind = "", int count_at = -1>
struct Failing;
template <typename... Args, VkResult (*VolkDeviceTable::*member)(Args...), Name name, Name kind, int count_at>
struct Failing<member, name, kind, count_at> {
  static inline VkResult (*real)(Args...) = nullptr;

  static VkResult call(Args... args) {
    Faults& faults = Faults::instance();
    if (faults.n_calls++ == faults.failing) {
      faults.failed = name.value;
      return faults.result;
    }
    const VkResult result = real(args...);
    if (result == VK_SUCCESS && kind.value[0] != 0) {
      if constexpr (count_at >= 0)
        count(kind.value, static_cast<int>(std::get<static_cast<size_t>(count_at)>(std::tuple(args...))));
      else
        count(kind.value, 1);
    }
    return result;
  }
  static void wrap(VolkDeviceTable& table) {
    real = table.*member;
    table.*member = call;
  }
};

template <auto member, Name kind>
struct Destroying;
template <typename Object, void (*VolkDeviceTable::*member)(VkDevice, Object, const VkAllocationCallbacks*), Name kind>
struct Destroying<member, kind> {
  static inline void (*real)(VkDevice, Object, const VkAllocationCallbacks*) = nullptr;

  static void call(VkDevice device, Object object, const VkAllocationCallbacks* callbacks) {
    if (object != VK_NULL_HANDLE) count(kind.value, -1);
    real(device, object, callbacks);
  }
  static void wrap(VolkDeviceTable& table) {
    real = table.*member;
    table.*member = call;
  }
};

void wrap_all(VolkDeviceTable& table) {
#define MAY_FAIL(name, ...) Failing<&VolkDeviceTable::name, #name __VA_OPT__(, ) __VA_ARGS__>::wrap(table)
#define DESTROYS(name, kind) Destroying<&VolkDeviceTable::name, kind>::wrap(table)
  MAY_FAIL(vkAllocateMemory, "memory");
  DESTROYS(vkFreeMemory, "memory");
  MAY_FAIL(vkCreateBuffer, "buffer");
  DESTROYS(vkDestroyBuffer, "buffer");
  MAY_FAIL(vkCreateBufferView, "buffer view");
  DESTROYS(vkDestroyBufferView, "buffer view");
  MAY_FAIL(vkCreateDescriptorPool, "descriptor pool");
  DESTROYS(vkDestroyDescriptorPool, "descriptor pool");
  MAY_FAIL(vkCreateDescriptorSetLayout, "descriptor set layout");
  DESTROYS(vkDestroyDescriptorSetLayout, "descriptor set layout");
  MAY_FAIL(vkCreatePipelineLayout, "pipeline layout");
  DESTROYS(vkDestroyPipelineLayout, "pipeline layout");
  MAY_FAIL(vkCreateShaderModule, "shader module");
  DESTROYS(vkDestroyShaderModule, "shader module");
  MAY_FAIL(vkCreateComputePipelines, "pipeline", 2);
  DESTROYS(vkDestroyPipeline, "pipeline");
  MAY_FAIL(vkCreatePipelineCache, "pipeline cache");
  DESTROYS(vkDestroyPipelineCache, "pipeline cache");
  MAY_FAIL(vkCreateCommandPool, "command pool");
  DESTROYS(vkDestroyCommandPool, "command pool");
  MAY_FAIL(vkCreateSemaphore, "semaphore");
  DESTROYS(vkDestroySemaphore, "semaphore");
  MAY_FAIL(vkCreateFence, "fence");
  DESTROYS(vkDestroyFence, "fence");
  MAY_FAIL(vkCreateQueryPool, "query pool");
  DESTROYS(vkDestroyQueryPool, "query pool");
  MAY_FAIL(vkBindBufferMemory);
  MAY_FAIL(vkMapMemory);
  MAY_FAIL(vkAllocateDescriptorSets);
  MAY_FAIL(vkResetDescriptorPool);
  MAY_FAIL(vkAllocateCommandBuffers);
  MAY_FAIL(vkBeginCommandBuffer);
  MAY_FAIL(vkEndCommandBuffer);
  MAY_FAIL(vkQueueSubmit);
  MAY_FAIL(vkWaitSemaphores);
  MAY_FAIL(vkGetQueryPoolResults);
#undef MAY_FAIL
#undef DESTROYS
}

}  // namespace

Faults& Faults::instance() {
  static Faults faults;
  return faults;
}

TableHook Faults::lasting_hook() {
  return [](VolkDeviceTable& table) { wrap_all(table); };
}

TableHook Faults::hook() {
  return [](VolkDeviceTable& table) {
    instance() = {};
    wrap_all(table);
  };
}

}  // namespace headroom::vulkan::test
