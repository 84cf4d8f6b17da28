// Allocations behind buffers. See memory.h.
#include "engine/backend/vulkan/memory.h"

#include <algorithm>

namespace headroom::vulkan {
namespace {

constexpr size_t block_bytes = size_t{64} << 20;

std::string mib(uint64_t bytes) {
  return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB";
}

/// Rounds up to whole texels, at least one.
size_t bound_bytes(size_t bytes) {
  return (std::max<size_t>(bytes, 1) + 15) / 16 * 16;
}

}  // namespace

int64_t memory_left_bytes(const DeviceFacts& facts, VkPhysicalDevice device) {
  if (!facts.has_memory_budget) return -1;
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{};
  budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
  VkPhysicalDeviceMemoryProperties2 properties{};
  properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
  properties.pNext = &budget;
  vkGetPhysicalDeviceMemoryProperties2(device, &properties);
  int64_t left = 0;
  for (uint32_t heap = 0; heap < properties.memoryProperties.memoryHeapCount; ++heap)
    if ((properties.memoryProperties.memoryHeaps[heap].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0)
      left =
          std::max(left, static_cast<int64_t>(budget.heapBudget[heap]) - static_cast<int64_t>(budget.heapUsage[heap]));
  return left;
}

Buffer::~Buffer() {
  if (memory_.user_ != nullptr) memory_.user_->release(*this);
  const VolkDeviceTable& call = memory_.device_.call;
  const VkDevice device = memory_.device_.handle();
  for (const View& view : views_) call.vkDestroyBufferView(device, view.handle, nullptr);
  if (handle_ != VK_NULL_HANDLE) call.vkDestroyBuffer(device, handle_, nullptr);
  if (own_memory_ != VK_NULL_HANDLE)
    memory_.give_back(own_memory_, block_);
  else if (mapped_ != nullptr || block_ != 0)
    memory_.leave_block(block_ - 1);
}

uint64_t Buffer::address() const {
  VkBufferDeviceAddressInfo info{};
  info.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO;
  info.buffer = handle_;
  return memory_.device_.call.vkGetBufferDeviceAddress(memory_.device_.handle(), &info);
}

void Buffer::check_binding(VkDescriptorType type) const {
  const DeviceFacts& facts = memory_.device_.facts();
  const uint64_t largest =
      type == VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER ? facts.max_texels * 16 : facts.max_storage_range;
  if (bound_bytes(size_) > largest)
    throw Error(ErrorKind::out_of_memory, "the Vulkan device shows a shader at most " + mib(largest) +
                                              " of a buffer; one of " + mib(size_) +
                                              " is needed here. A smaller context needs less");
}

VkBufferView Buffer::texels(VkFormat format) const {
  for (const View& view : views_)
    if (view.format == format) return view.handle;
  VkBufferViewCreateInfo create{};
  create.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO;
  create.buffer = handle_;
  create.format = format;
  create.range = bound_bytes(size_);
  VkBufferView view = VK_NULL_HANDLE;
  check(memory_.device_.call.vkCreateBufferView(memory_.device_.handle(), &create, nullptr, &view),
        "show a buffer as texels");
  views_.push_back({format, view});
  return view;
}

Memory::Memory(Device& device) : device_(device) {
  vkGetPhysicalDeviceMemoryProperties(device.physical(), &types_);
}

Memory::~Memory() {
  for (const Block& block : blocks_)
    if (block.memory != VK_NULL_HANDLE) give_back(block.memory, block.size);
}

std::unique_ptr<Buffer> Memory::allocate(size_t bytes, MemoryUse use) {
  const VolkDeviceTable& call = device_.call;
  std::unique_ptr<Buffer> buffer(new Buffer(*this, bytes));
  VkBufferCreateInfo create{};
  create.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
  create.size = bound_bytes(bytes);
  create.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
                 VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                 VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
  check(call.vkCreateBuffer(device_.handle(), &create, nullptr, &buffer->handle_), "make a buffer");
  VkMemoryRequirements needs{};
  call.vkGetBufferMemoryRequirements(device_.handle(), buffer->handle_, &needs);
  if (use == MemoryUse::weight && needs.size < block_bytes) {
    place_in_block(*buffer, needs);
  } else {
    buffer->own_memory_ = take(needs.size, needs.memoryTypeBits, use, buffer->mapped_);
    buffer->block_ = needs.size;
    check(call.vkBindBufferMemory(device_.handle(), buffer->handle_, buffer->own_memory_, 0), "bind memory");
  }
  return buffer;
}

VkDeviceMemory Memory::take(size_t bytes, uint32_t type_bits, MemoryUse use, std::byte*& mapped) {
  const VolkDeviceTable& call = device_.call;
  if (bytes > device_.facts().max_allocation_bytes)
    throw Error(ErrorKind::out_of_memory, "the Vulkan device gives at most " +
                                              mib(device_.facts().max_allocation_bytes) + " at once; " + mib(bytes) +
                                              " are needed here. A smaller context needs less");
  const int64_t left = use == MemoryUse::staging ? -1 : memory_left_bytes(device_.facts(), device_.physical());
  if (left >= 0 && static_cast<int64_t>(bytes) > left)
    throw Error(ErrorKind::out_of_memory, "the Vulkan device has " + mib(static_cast<uint64_t>(left)) + " left for " +
                                              "this program; " + mib(bytes) + " were asked for");
  VkMemoryAllocateFlagsInfo flags{};
  flags.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO;
  flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
  VkMemoryAllocateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
  info.pNext = &flags;
  info.allocationSize = bytes;
  info.memoryTypeIndex = find_type(type_bits, use);
  VkDeviceMemory memory = VK_NULL_HANDLE;
  check(call.vkAllocateMemory(device_.handle(), &info, nullptr, &memory), ("give " + mib(bytes)).c_str());
  // The device's own memory stays unmapped even if the host could see it. Tests imitate such a device this way.
  const bool is_for_host = use == MemoryUse::staging || device_.facts().has_unified_memory;
  const VkMemoryPropertyFlags kind = types_.memoryTypes[info.memoryTypeIndex].propertyFlags;
  if (is_for_host && (kind & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0) {
    void* pointer = nullptr;
    const VkResult result = call.vkMapMemory(device_.handle(), memory, 0, VK_WHOLE_SIZE, 0, &pointer);
    if (result != VK_SUCCESS) {
      call.vkFreeMemory(device_.handle(), memory, nullptr);
      check(result, "map memory");
    }
    mapped = static_cast<std::byte*>(pointer);
  }
  allocated_bytes_ += static_cast<int64_t>(bytes);
  return memory;
}

void Memory::give_back(VkDeviceMemory memory, size_t bytes) {
  device_.call.vkFreeMemory(device_.handle(), memory, nullptr);
  allocated_bytes_ -= static_cast<int64_t>(bytes);
}

void Memory::place_in_block(Buffer& buffer, const VkMemoryRequirements& needs) {
  const auto begin_in = [&](const Block& block) {
    return (block.used + needs.alignment - 1) / needs.alignment * needs.alignment;
  };
  auto block = std::find_if(blocks_.begin(), blocks_.end(), [&](const Block& candidate) {
    return candidate.memory != VK_NULL_HANDLE && begin_in(candidate) + needs.size <= candidate.size;
  });
  if (block == blocks_.end()) {
    Block fresh{.size = block_bytes};
    fresh.memory = take(block_bytes, needs.memoryTypeBits, MemoryUse::weight, fresh.mapped);
    block = blocks_.insert(blocks_.end(), fresh);
  }
  const size_t begin = begin_in(*block);
  block->used = begin + needs.size;
  ++block->n_buffers;
  buffer.block_ = static_cast<size_t>(block - blocks_.begin()) + 1;
  buffer.mapped_ = block->mapped == nullptr ? nullptr : block->mapped + begin;
  check(device_.call.vkBindBufferMemory(device_.handle(), buffer.handle_, block->memory, begin), "bind memory");
}

void Memory::leave_block(size_t index) {
  Block& block = blocks_[index];
  if (--block.n_buffers > 0) return;
  give_back(block.memory, block.size);
  block = {};
}

/// With unified memory: the device's, mapped. Otherwise the device's own, which the host does not see, and host memory
/// for staging.
uint32_t Memory::find_type(uint32_t type_bits, MemoryUse use) const {
  constexpr VkMemoryPropertyFlags host = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  constexpr VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                                  cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  std::vector<VkMemoryPropertyFlags> wishes;
  if (use == MemoryUse::staging)
    wishes = {host | cached, host};
  else if (device_.facts().has_unified_memory)
    wishes = {local | host | cached, local | host, host, 0};
  else
    wishes = {local, 0};
  for (const VkMemoryPropertyFlags wish : wishes)
    for (uint32_t type = 0; type < types_.memoryTypeCount; ++type)
      if ((type_bits >> type & 1) != 0 && (types_.memoryTypes[type].propertyFlags & wish) == wish) return type;
  throw Error(ErrorKind::device, "the Vulkan device has no memory of the kind that buffers need");
}

}  // namespace headroom::vulkan
