// Host memory from which shaders read lists. Many operations in a row each need one, and none may wait for the device.
// A few chunks, used in rotation, bound the memory.
#pragma once

#include <array>

#include "engine/backend/vulkan/queue.h"

namespace headroom::vulkan {

class UploadArena {
 public:
  /// Bytes that the host fills at once. Only operations enqueued before the next take() may read them.
  struct Place {
    const Buffer* buffer = nullptr;
    size_t first = 0;
    size_t bytes = 0;

    std::byte* data() const { return buffer->mapped() + first; }
    BufferUse use() const { return {*buffer, first, bytes}; }
  };

  UploadArena(Memory& memory, Queue& queue, bool is_unified)
      : memory_(memory), queue_(queue), use_(is_unified ? MemoryUse::device : MemoryUse::staging) {}

  Place take(size_t bytes);

 private:
  static constexpr size_t chunk_bytes = size_t{1} << 20;

  Memory& memory_;
  Queue& queue_;
  MemoryUse use_;
  std::array<std::unique_ptr<Buffer>, 4> chunks_;
  size_t chunk_ = 0;
  size_t used_ = 0;  // bytes of the current chunk
};

}  // namespace headroom::vulkan
