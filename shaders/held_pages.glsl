// Pages of the cache, found by address. Where things lie in a page is PageLayout (engine/base/page_layout.h). Whoever
// includes this defines before it
//   SLAB(i)  address of slab i, uvec2
// and gives a PageShape in its calls. head_dim is even.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require

layout(buffer_reference, std430, buffer_reference_align = 4) buffer PageWords { uint words[]; };

const uint PAGE_TOKENS = 16;

struct PageShape {
  uint head_dim;
  bool is_q8;
};

uint row_words(PageShape shape) {  // of K of one slot, without its scales
  return shape.is_q8 ? shape.head_dim / 4 : shape.head_dim / 2;
}

/// Words from K to V, and from V to the tags.
uint part_words(PageShape shape) {
  return PAGE_TOKENS * row_words(shape) + (shape.is_q8 ? PAGE_TOKENS / 2 * (shape.head_dim / 32) : 0);
}

PageWords page_words(uint page, uint pages_per_slab, uint page_bytes) {
  const uvec2 slab = SLAB(page / pages_per_slab);
  uint carry;
  const uint low = uaddCarry(slab.x, page % pages_per_slab * page_bytes, carry);
  return PageWords(uvec2(low, slab.y + carry));
}

uint page_tag(PageWords page, PageShape shape, uint slot) {
  return page.words[2 * part_words(shape) + slot];
}

uint page_position(PageWords page, PageShape shape, uint slot) {
  return page_tag(page, shape, slot) & 0x3fffffffu;
}

float page_score(PageWords page, PageShape shape, uint slot) {
  return uintBitsToFloat(page.words[2 * part_words(shape) + PAGE_TOKENS + slot]);
}

/// Values 4 * i … 4 * i + 3 of K (part 0) or V (part 1) of a slot; zeros behind the last.
vec4 page_values(PageWords page, PageShape shape, uint part, uint slot, uint i) {
  const uint begin = part * part_words(shape);
  if (shape.is_q8) {
    const uint bits = page.words[begin + slot * row_words(shape) + i];
    const ivec4 values = ivec4(bits << 24, bits << 16, bits << 8, bits) >> 24;
    const uint scale = i / 8 * PAGE_TOKENS + slot;  // a half
    const vec2 scales = unpackHalf2x16(page.words[begin + PAGE_TOKENS * row_words(shape) + scale / 2]);
    return vec4(values) * (scale % 2 == 0 ? scales.x : scales.y);
  }
  const uint at = begin + slot * row_words(shape) + 2 * i;
  const vec2 second = 4 * i + 2 < shape.head_dim ? unpackHalf2x16(page.words[at + 1]) : vec2(0);
  return vec4(unpackHalf2x16(page.words[at]), second);
}
