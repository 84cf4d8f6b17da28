// The one definition of a KV page, for every backend: 16 slots of one KV head of one layer.
// engine/kv counts pages with it, each backend addresses them with it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace headroom {

inline constexpr int32_t page_tokens = 16;
inline constexpr size_t slab_bytes = size_t{2} << 20;

/// Byte offsets inside a page:
///   K       (page_tokens, head_dim), row-major, f16
///   V       (page_tokens, head_dim), row-major, f16
///   tags    (page_tokens), SlotTag (position, token class in the two top bits)
///   scores  (page_tokens), f32, attention accumulated since the slot was filled, summed over the query group
struct PageLayout {
  int32_t head_dim;

  constexpr size_t row_bytes() const { return size_t{2} * static_cast<size_t>(head_dim); }
  constexpr size_t k_offset() const { return 0; }
  constexpr size_t v_offset() const { return page_tokens * row_bytes(); }
  constexpr size_t tags_offset() const { return 2 * page_tokens * row_bytes(); }
  constexpr size_t scores_offset() const { return tags_offset() + page_tokens * sizeof(uint32_t); }
  constexpr size_t page_bytes() const { return scores_offset() + page_tokens * sizeof(float); }
  /// A slab is one allocation of the device; it holds this many whole pages. 0 if a page does not fit.
  constexpr int32_t pages_per_slab() const { return static_cast<int32_t>(slab_bytes / page_bytes()); }
  /// Bytes that one kept token costs one head: K, V, tag and score.
  constexpr size_t slot_bytes() const { return 2 * row_bytes() + sizeof(uint32_t) + sizeof(float); }
};

/// A page's number in the pool: slab * pages_per_slab + index in the slab.
using PageId = int32_t;

}  // namespace headroom
