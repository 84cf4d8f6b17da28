// Creates the backend, moves bytes in and out of its memory, and owns the slabs of the cache.
#include "engine/backend/vulkan/vulkan_backend.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstring>

#include "engine/backend/vulkan/backend_state.h"
#include "shaders/embedded.h"

namespace headroom {
namespace vulkan {
namespace {

constexpr size_t first_step_bytes = 64 << 10;
constexpr size_t large_bytes = size_t{1} << 20;

VulkanVariant variant_for(VulkanVariant asked, const DeviceFacts& facts) {
  if (asked == VulkanVariant::dot && !facts.has_integer_dot)
    throw Error(ErrorKind::unsupported,
                facts.name + ": its driver lacks VK_KHR_shader_integer_dot_product, which was asked for");
  if (asked != VulkanVariant::by_device) return asked;
  if (facts.is_software()) return VulkanVariant::lane;
  return facts.has_fast_integer_dot ? VulkanVariant::dot : VulkanVariant::subgroup;
}

}  // namespace

VulkanBackend::VulkanBackend(const VulkanOptions& options)
    : device_(options.hook, options.facts_hook),
      memory_(device_),
      queue_(device_, memory_),
      programs_(device_),
      variant_(variant_for(options.variant, device_.facts())),
      gflops_(device_.facts().is_software() ? 4 : 200),
      slabs_(memory_, queue_),
      uploads_(memory_, queue_, device_.facts().has_unified_memory) {
  info_ = {.name = "vulkan", .device = device_.facts().name, .unified_memory = device_.facts().has_unified_memory};
  queue_.set_stages({stage_names.begin(), stage_names.end()});
  reserve_step(first_step_bytes);
}

VulkanBackend::~VulkanBackend() = default;

std::unique_ptr<DeviceBuffer> VulkanBackend::allocate(size_t bytes) {
  return memory_.allocate(bytes, MemoryUse::device);
}

void VulkanBackend::upload(DeviceBuffer& to, size_t offset_bytes, std::span<const std::byte> from) {
  assert(offset_bytes + from.size() <= to.size_bytes());
  queue_.upload(buffer_of(to), offset_bytes, from);
}

void VulkanBackend::download(std::span<const ReadBack> parts) {
  queue_.download(parts);
}

const Buffer& VulkanBackend::scratch(const std::string& name, size_t bytes) {
  Scratch& scratch = scratch_[name];
  scratch.serves_steps = scratch.serves_steps || recorded_step_ != nullptr;
  if (scratch.buffer == nullptr || scratch.buffer->size_bytes() < bytes) {
    scratch.buffer.reset();
    std::unique_ptr<Buffer> buffer = memory_.allocate(bytes, MemoryUse::device);
    // Do not keep a scratch buffer that exceeds the binding limit.
    buffer->check_binding(VK_DESCRIPTOR_TYPE_STORAGE_BUFFER);
    if (is_lane()) buffer->check_binding(VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER);
    scratch.buffer = std::move(buffer);
  }
  return *scratch.buffer;
}

/// Frees large buffers that only prefill needs: they would be idle while a long answer is generated.
void VulkanBackend::release_prompt_scratch() {
  std::erase_if(scratch_, [](const auto& entry) {
    return !entry.second.serves_steps && entry.second.buffer != nullptr &&
           entry.second.buffer->size_bytes() > large_bytes;
  });
}

/// Makes room for the data that a step reads. Earlier contents are lost.
void VulkanBackend::reserve_step(size_t bytes) {
  if (step_host_ != nullptr && step_host_->size_bytes() >= bytes) return;
  const bool is_unified = device_.facts().has_unified_memory;
  step_host_ = memory_.allocate(bytes, is_unified ? MemoryUse::device : MemoryUse::staging);
  if (!is_unified) step_device_ = memory_.allocate(bytes, MemoryUse::device);
  step_buffer_ = is_unified ? step_host_.get() : step_device_.get();
}

void VulkanBackend::remove_slab(int32_t slab) {
  const int32_t n = slabs_.layout().pages_per_slab();
  page_table_.forget(slab * n, (slab + 1) * n);
  slabs_.remove(slab);
}

double VulkanBackend::measure_read_gb_per_s() {
  constexpr size_t wanted_bytes = size_t{128} << 20;
  constexpr int n_rounds = 8;
  const size_t bytes = std::min<size_t>(wanted_bytes, device_.facts().max_storage_range / 64 * 64);
  const std::unique_ptr<Buffer> from = memory_.allocate(bytes, MemoryUse::device),
                                to = memory_.allocate(64, MemoryUse::device);
  queue_.fill({*from, 0, bytes}, 1);
  queue_.finish();
  double best = 0;
  for (int i = 0; i < n_rounds; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    queue_.dispatch(programs_.get("read_only"), {1024, 1, 1}, words(ReadOnlyConstants{static_cast<uint>(bytes / 16)}),
                    {BufferUse(*from), BufferUse(*to)}, /*cost_ms=*/10);
    queue_.finish();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best = std::max(best, static_cast<double>(bytes) / seconds / 1e9);
  }
  return best;
}

void SlabTable::add(int32_t slab) {
  const auto i = static_cast<size_t>(slab);
  assert(i >= slabs_.size() || slabs_[i] == nullptr);
  std::unique_ptr<Buffer> buffer = memory_.allocate(slab_bytes, MemoryUse::device);
  if (table_ == nullptr || table_->size_bytes() < (i + 1) * sizeof(uint64_t)) {
    // The new table also holds the addresses of the old one.
    std::unique_ptr<Buffer> table =
        memory_.allocate(std::max<size_t>(2 * (i + 1), 64) * sizeof(uint64_t), MemoryUse::device);
    std::vector<uint64_t> addresses(table->size_bytes() / sizeof(uint64_t));
    for (size_t k = 0; k < slabs_.size(); ++k)
      if (slabs_[k] != nullptr) addresses[k] = slabs_[k]->address();
    queue_.upload(*table, 0, std::as_bytes(std::span(addresses)));
    table_ = std::move(table);
  }
  const uint64_t address = buffer->address();
  queue_.upload(*table_, i * sizeof(uint64_t), std::as_bytes(std::span(&address, 1)));
  if (slabs_.size() <= i) {
    slabs_.resize(i + 1);
    addresses_.resize(i + 1);
  }
  addresses_[i] = address;
  slabs_[i] = std::move(buffer);
  queue_.outdate_recordings();
}

void SlabTable::remove(int32_t slab) {
  // Shaders reach pages by address, so the queue does not know which work uses this slab: wait for all.
  queue_.drain();
  slabs_[static_cast<size_t>(slab)].reset();
}

}  // namespace vulkan

namespace {

vulkan::TableHook default_hook;

const char* kind_of(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return "discrete GPU";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return "integrated GPU";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return "virtual GPU";
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      return "software";
    default:
      return "of no known kind";
  }
}

std::string driver_of(const vulkan::DeviceFacts& facts) {
  std::string text = facts.name + "; " + facts.driver + "; ";
  for (const uint8_t byte : facts.pipeline_cache_uuid)
    text += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
  return text;
}

}  // namespace

std::string fingerprint(const VulkanListing& device) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  const auto add = [&](std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) hash = (hash ^ static_cast<uint64_t>(byte)) * 1099511628211u;
  };
  add(std::as_bytes(std::span(device.driver)));
  for (const std::string_view name : embedded_shader_names()) add(std::as_bytes(embedded_shader(name)));
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[hash >> shift & 15];
  return text;
}

std::vector<VulkanListing> list_vulkan_devices() {
  const vulkan::Instance instance;
  std::vector<VulkanListing> list;
  for (size_t i = 0; i < instance.devices().size(); ++i) {
    const vulkan::DeviceFacts& facts = instance.devices()[i];
    const int64_t left = vulkan::memory_left_bytes(facts, instance.physical(i));
    list.push_back({.device = facts.name,
                    .kind = kind_of(facts.type),
                    .memory_left_bytes = left,
                    .refusal = facts.refusal,
                    .driver = driver_of(facts),
                    .is_software = facts.is_software()});
  }
  return list;
}

void set_vulkan_table_hook(vulkan::TableHook hook) {
  default_hook = std::move(hook);
}

std::unique_ptr<Backend> make_vulkan_backend(const VulkanOptions& options) {
  VulkanOptions with_hook = options;
  if (!with_hook.hook) with_hook.hook = default_hook;
  return std::make_unique<vulkan::VulkanBackend>(with_hook);
}

}  // namespace headroom
