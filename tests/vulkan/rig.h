// A Vulkan device with memory, queue and programs, without the backend around them, and simple operations for them.
#pragma once

#include <array>
#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "engine/backend/device/kernel_params.h"
#include "engine/backend/vulkan/memory.h"
#include "engine/backend/vulkan/program.h"
#include "engine/backend/vulkan/queue.h"

namespace headroom::vulkan::test {

using namespace device;

struct Rig {
  explicit Rig(const TableHook& hook = {}, const FactsHook& facts_hook = {})
      : device(hook, facts_hook), memory(device), queue(device, memory), programs(device) {
    queue.set_stages({"first", "second"});
  }

  std::unique_ptr<Buffer> floats(const std::vector<float>& values) {
    auto buffer = memory.allocate(values.size() * sizeof(float), MemoryUse::device);
    queue.upload(*buffer, 0, std::as_bytes(std::span(values)));
    return buffer;
  }
  std::vector<float> read(const Buffer& buffer) {
    std::vector<float> values(buffer.size_bytes() / sizeof(float));
    queue.download(buffer, 0, std::as_writable_bytes(std::span(values)));
    return values;
  }
  /// Floats first … first + n of both: x += y.
  void add(const Buffer& x, const Buffer& y, uint32_t n, uint32_t first = 0) {
    const uint32_t constants[] = {1, n, first, n, first, n};
    queue.dispatch(programs.get("add"), {(n + 63) / 64, 1, 1}, constants,
                   {BufferUse(x, first * 4, n * 4), BufferUse(y, first * 4, n * 4)});
  }

  Device device;
  Memory memory;
  Queue queue;
  Programs programs;
};

/// Whether there is a device to test with; says so once if not.
bool has_device();

}  // namespace headroom::vulkan::test
