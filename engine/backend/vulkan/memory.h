// Device memory as buffers. Short-lived buffers (activations, slabs of the cache) have one allocation each; weights
// share few large ones. With unified memory, buffers are mapped and nothing is staged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/vulkan/device.h"

namespace headroom::vulkan {

/// Bytes of the device's own memory that this process may still allocate, by VK_EXT_memory_budget; -1 if the driver
/// does not report it.
int64_t memory_left_bytes(const DeviceFacts& facts, VkPhysicalDevice device);

class Memory;

class Buffer final : public DeviceBuffer {
 public:
  ~Buffer() override;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  size_t size_bytes() const override { return size_; }
  VkBuffer handle() const { return handle_; }
  std::byte* mapped() const { return mapped_; }  // nullptr: only the device can access it
  uint64_t address() const;                      // for shaders that use a pointer
  /// The whole buffer as texels of four 32-bit values.
  VkBufferView texels(VkFormat format) const;
  /// Throws Error(out_of_memory) if the buffer is larger than what the device binds, as storage or as texels.
  void check_binding(VkDescriptorType type) const;

  /// Number of the last submission that touches it (queue.h).
  mutable uint64_t used_by = 0;

 private:
  friend class Memory;
  struct View {
    VkFormat format;
    VkBufferView handle;
  };

  Buffer(Memory& memory, size_t size) : memory_(memory), size_(size) {}

  Memory& memory_;
  size_t size_;
  VkBuffer handle_ = VK_NULL_HANDLE;
  VkDeviceMemory own_memory_ = VK_NULL_HANDLE;  // none if it lies in a block of weights
  size_t block_ = 0;
  std::byte* mapped_ = nullptr;
  mutable std::vector<View> views_;
};

enum class MemoryUse { device, staging, weight };

/// Called before a buffer is freed: must wait until no running work uses it.
class BufferUser {
 public:
  virtual ~BufferUser() = default;
  virtual void release(const Buffer& buffer) = 0;
};

class Memory {
 public:
  explicit Memory(Device& device);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  void set_user(BufferUser* user) { user_ = user; }

  /// Contents undefined. Throws Error(out_of_memory), also if the size exceeds the budget that the driver reports.
  std::unique_ptr<Buffer> allocate(size_t bytes, MemoryUse use);

  /// Bytes allocated from the driver and not freed yet.
  int64_t allocated_bytes() const { return allocated_bytes_; }

 private:
  friend class Buffer;
  /// Weights lie in it one behind the other. It is freed with the last of them.
  struct Block {
    VkDeviceMemory memory = VK_NULL_HANDLE;
    std::byte* mapped = nullptr;
    size_t size = 0;
    size_t used = 0;
    int32_t n_buffers = 0;
  };

  VkDeviceMemory take(size_t bytes, uint32_t type_bits, MemoryUse use, std::byte*& mapped);
  void give_back(VkDeviceMemory memory, size_t bytes);
  void place_in_block(Buffer& buffer, const VkMemoryRequirements& needs);
  void leave_block(size_t block);
  uint32_t find_type(uint32_t type_bits, MemoryUse use) const;

  Device& device_;
  BufferUser* user_ = nullptr;
  VkPhysicalDeviceMemoryProperties types_{};
  std::vector<Block> blocks_;
  int64_t allocated_bytes_ = 0;
};

}  // namespace headroom::vulkan
