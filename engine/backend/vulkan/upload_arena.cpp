// Chunks in rotation. See upload_arena.h.
#include "engine/backend/vulkan/upload_arena.h"

#include <algorithm>

namespace headroom::vulkan {

UploadArena::Place UploadArena::take(size_t bytes) {
  constexpr size_t alignment = 64;
  bytes = std::max<size_t>((bytes + alignment - 1) / alignment * alignment, alignment);
  if (chunks_[chunk_] == nullptr || used_ + bytes > chunks_[chunk_]->size_bytes()) {
    if (chunks_[chunk_] != nullptr) chunk_ = (chunk_ + 1) % chunks_.size();
    std::unique_ptr<Buffer>& chunk = chunks_[chunk_];
    const size_t wanted = std::max(bytes, chunk_bytes);
    // A chunk that was enlarged for one large list is replaced.
    if (chunk == nullptr || chunk->size_bytes() != wanted) {
      chunk.reset();
      used_ = 0;
      chunk = memory_.allocate(wanted, use_);
    } else {
      queue_.finish(*chunk);
    }
    used_ = 0;
  }
  const Place place{chunks_[chunk_].get(), used_, bytes};
  used_ += bytes;
  return place;
}

}  // namespace headroom::vulkan
