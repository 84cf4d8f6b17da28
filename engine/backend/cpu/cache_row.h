// One slot's K or V inside a page, whatever the page's type: where its bytes are, and how they move bit for bit between
// pages and the rows that go to the host. Rounding values to them is each backend's own business.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/page_layout.h"

namespace headroom {

/// Values one after the other; the scales of q8_0, one a block, page_tokens apart.
struct CacheRow {
  std::byte* values = nullptr;  // (head_dim) f16 or int8
  uint16_t* scales = nullptr;   // f16; null where the values are f16

  uint16_t* halves() const { return reinterpret_cast<uint16_t*>(values); }
  int8_t* bytes() const { return reinterpret_cast<int8_t*>(values); }
  uint16_t& scale(int32_t block) const { return scales[block * page_tokens]; }
};

/// A row of f16 values outside of a page.
inline CacheRow half_row(uint16_t* halves) {
  return {reinterpret_cast<std::byte*>(halves), nullptr};
}

/// part: K or V of the page. slot: in the page.
inline CacheRow cache_row(const PageLayout& layout, std::byte* part, int32_t slot) {
  const size_t at = static_cast<size_t>(slot) * static_cast<size_t>(layout.head_dim);
  if (layout.type == CacheType::f16) return {part + 2 * at, nullptr};
  return {part + at, reinterpret_cast<uint16_t*>(part + layout.scales_offset()) + slot};
}

/// The row as row_bytes() / 2 units: values, then scales.
void read_cache_row(const PageLayout& layout, CacheRow from, uint16_t* to);
void write_cache_row(const PageLayout& layout, const uint16_t* from, CacheRow to);
void copy_cache_row(const PageLayout& layout, CacheRow from, CacheRow to);

}  // namespace headroom
