// Rows between pages, shaders and the host. See slot_words.h.
#include "engine/backend/device/slot_words.h"

#include <cstring>

namespace headroom::device {
namespace {

/// Bytes of the values of K, or of V.
size_t value_bytes(const PageLayout& layout) {
  return static_cast<size_t>(layout.head_dim) * (layout.type == CacheType::f16 ? 2 : 1);
}

/// Scales of K, or of V.
size_t n_scales(const PageLayout& layout) {
  return layout.type == CacheType::f16 ? 0 : static_cast<size_t>(layout.head_dim / q8_block_values);
}

}  // namespace

std::vector<uint32_t> page_constants(const PageLayout& layout, uint32_t n_lanes) {
  const auto in_words = [](size_t bytes) { return static_cast<uint32_t>(bytes / sizeof(uint32_t)); };
  return {n_lanes,
          static_cast<uint32_t>(layout.head_dim),
          in_words(layout.v_offset()),
          in_words(layout.scales_offset()),
          in_words(layout.tags_offset()),
          in_words(layout.scores_offset())};
}

const char* page_variant(const PageLayout& layout) {
  return layout.type == CacheType::f16 ? "f16" : "q8_0";
}

size_t slot_words(const PageLayout& layout) {
  return 2 * (value_bytes(layout) / sizeof(uint32_t) + n_scales(layout));
}

void u16s_to_words(const PageLayout& layout, const uint16_t* u16s, uint32_t* words) {
  const size_t bytes = value_bytes(layout), row_u16s = layout.row_bytes() / sizeof(uint16_t);
  for (size_t part = 0; part < 2; ++part) {
    const uint16_t* row = u16s + part * row_u16s;
    std::memcpy(words + part * bytes / sizeof(uint32_t), row, bytes);
    uint32_t* scales = words + 2 * bytes / sizeof(uint32_t) + part * n_scales(layout);
    for (size_t i = 0; i < n_scales(layout); ++i) scales[i] = row[bytes / sizeof(uint16_t) + i];
  }
}

void words_to_u16s(const PageLayout& layout, const uint32_t* words, uint16_t* u16s) {
  const size_t bytes = value_bytes(layout), row_u16s = layout.row_bytes() / sizeof(uint16_t);
  for (size_t part = 0; part < 2; ++part) {
    uint16_t* row = u16s + part * row_u16s;
    std::memcpy(row, words + part * bytes / sizeof(uint32_t), bytes);
    const uint32_t* scales = words + 2 * bytes / sizeof(uint32_t) + part * n_scales(layout);
    for (size_t i = 0; i < n_scales(layout); ++i) row[bytes / sizeof(uint16_t) + i] = static_cast<uint16_t>(scales[i]);
  }
}

void page_to_u16s(const PageLayout& layout, const std::byte* page, size_t slot, uint16_t* u16s) {
  const size_t bytes = value_bytes(layout);
  for (const size_t offset : {layout.k_offset(), layout.v_offset()}) {
    std::memcpy(u16s, page + offset + slot * bytes, bytes);
    u16s += bytes / sizeof(uint16_t);
    for (size_t block = 0; block < n_scales(layout); ++block)
      std::memcpy(u16s++, page + offset + layout.scales_offset() + (block * page_tokens + slot) * sizeof(uint16_t),
                  sizeof(uint16_t));
  }
}

}  // namespace headroom::device
