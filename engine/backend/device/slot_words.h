// Pages as shaders see them: words of 32 bits. A slot's row travels between host and device as words of K, of V, then a
// word for each scale of K and of V; on the host its values of 16 bits lie as PageLayout::slot_row_u16s says.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/page_layout.h"

namespace headroom::device {

/// Specialization constants that shaders/pages.glsl expects, behind the lanes of a work group.
std::vector<uint32_t> page_constants(const PageLayout& layout, uint32_t n_lanes);
/// Variant of the shaders for this type of page.
const char* page_variant(const PageLayout& layout);

/// Words of a travelling row.
size_t slot_words(const PageLayout& layout);
void u16s_to_words(const PageLayout& layout, const uint16_t* u16s, uint32_t* words);
void words_to_u16s(const PageLayout& layout, const uint32_t* words, uint16_t* u16s);
/// The same values of 16 bits out of a page.
void page_to_u16s(const PageLayout& layout, const std::byte* page, size_t slot, uint16_t* u16s);

}  // namespace headroom::device
