// Pages as shaders see them: words of 32 bits. Between host and device, a slot's row is sent as the words of K, those
// of V, then one word per scale of K and of V. On the host it is 16-bit values in the order of
// PageLayout::slot_row_u16s.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/page_layout.h"

namespace headroom::device {

/// Specialization constants that shaders/pages.glsl expects: the lanes of a work group, then the layout's.
std::vector<uint32_t> page_constants(const PageLayout& layout, uint32_t n_lanes);
/// Variant of the shaders for this type of page.
const char* page_variant(const PageLayout& layout);

/// Words of a slot's row as it is sent.
size_t slot_words(const PageLayout& layout);
void u16s_to_words(const PageLayout& layout, const uint16_t* u16s, uint32_t* words);
void words_to_u16s(const PageLayout& layout, const uint32_t* words, uint16_t* u16s);
/// Copies a slot's row from a page, in the order of PageLayout::slot_row_u16s.
void page_to_u16s(const PageLayout& layout, const std::byte* page, size_t slot, uint16_t* u16s);

}  // namespace headroom::device
