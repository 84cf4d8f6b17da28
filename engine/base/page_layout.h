// The one definition of a KV page, for every backend. A page has 16 slots of one KV head of one layer, with keys and
// values in f16 or in 8 bits. engine/kv counts pages with it, and each backend computes addresses with it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/policy.h"

namespace headroom {

inline constexpr int32_t page_tokens = 16;
inline constexpr size_t slab_bytes = size_t{2} << 20;
inline constexpr int32_t q8_block_values = 32;  // values that share one scale

/// Byte offsets inside a page:
///   K       the rows of 16 slots
///   V       like K
///   tags    (page_tokens), SlotTag (position, token class in the two top bits)
///   scores  (page_tokens), f32, attention received since the slot was filled, summed over the query group
/// K and V with f16:
///           (page_tokens, head_dim), row-major, f16
/// K and V with q8_0 (value = int8 * scale; scale = the largest magnitude in a block of 32 values / 127):
///   values  (page_tokens, head_dim), row-major, int8
///   scales  (head_dim / 32, page_tokens), row-major, f16: the scales of one block of all slots are contiguous
struct PageLayout {
  int32_t head_dim;
  CacheType type = CacheType::f16;

  /// A q8_0 row must consist of whole blocks.
  constexpr bool is_possible() const { return type == CacheType::f16 || head_dim % q8_block_values == 0; }
  /// Bytes of K (or of V) of one slot.
  constexpr size_t row_bytes() const {
    const auto n = static_cast<size_t>(head_dim);
    return type == CacheType::f16 ? 2 * n : n + n / q8_block_values * sizeof(uint16_t);
  }
  /// Size of K and V of one slot as they are copied through host memory, in units of 16 bits. The order is K's values,
  /// K's scales (q8_0 only), V's values, V's scales.
  constexpr size_t slot_row_u16s() const { return row_bytes(); }
  constexpr size_t k_offset() const { return 0; }
  constexpr size_t v_offset() const { return page_tokens * row_bytes(); }
  /// q8_0 only: counted from the beginning of K or of V.
  constexpr size_t scales_offset() const { return page_tokens * static_cast<size_t>(head_dim); }
  constexpr size_t tags_offset() const { return 2 * page_tokens * row_bytes(); }
  constexpr size_t scores_offset() const { return tags_offset() + page_tokens * sizeof(uint32_t); }
  constexpr size_t page_bytes() const { return scores_offset() + page_tokens * sizeof(float); }
  /// Whole pages per slab (a slab is one allocation on the device). 0 if a page does not fit.
  constexpr int32_t pages_per_slab() const { return static_cast<int32_t>(slab_bytes / page_bytes()); }
  /// Bytes per kept token and head: K, V, tag and score.
  constexpr size_t slot_bytes() const { return 2 * row_bytes() + sizeof(uint32_t) + sizeof(float); }

  constexpr bool operator==(const PageLayout&) const = default;
};

/// A page's number in the pool: slab * pages_per_slab + index in the slab.
using PageId = int32_t;

}  // namespace headroom
