// Rows of a page ─► their bytes in another page or on the host, and back. No value is looked at, so that what moves
// stays what it was.
#include "engine/backend/cpu/cache_row.h"

#include <cstring>

namespace headroom {
namespace {

size_t values_bytes(const PageLayout& layout) {
  return static_cast<size_t>(layout.head_dim) * (layout.type == CacheType::f16 ? 2 : 1);
}

int32_t n_scales(const PageLayout& layout) {
  return layout.type == CacheType::f16 ? 0 : layout.head_dim / q8_block_values;
}

}  // namespace

void read_cache_row(const PageLayout& layout, CacheRow from, uint16_t* to) {
  std::memcpy(to, from.values, values_bytes(layout));
  to += values_bytes(layout) / sizeof(uint16_t);
  for (int32_t block = 0; block < n_scales(layout); ++block) to[block] = from.scale(block);
}

void write_cache_row(const PageLayout& layout, const uint16_t* from, CacheRow to) {
  std::memcpy(to.values, from, values_bytes(layout));
  from += values_bytes(layout) / sizeof(uint16_t);
  for (int32_t block = 0; block < n_scales(layout); ++block) to.scale(block) = from[block];
}

void copy_cache_row(const PageLayout& layout, CacheRow from, CacheRow to) {
  std::memcpy(to.values, from.values, values_bytes(layout));
  for (int32_t block = 0; block < n_scales(layout); ++block) to.scale(block) = from.scale(block);
}

}  // namespace headroom
