// Pages of the cache, found by their address. engine/base/page_layout.h defines their contents; its offsets are passed
// as constants, in words of 32 bits. Compiled once per type of page: CACHE_Q8 for 8 bits, else f16.
// A row is K or V of a slot. It is read in units of up to four words.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require
#ifdef HAS_INT64
#extension GL_ARB_gpu_shader_int64 : require
#endif

layout(constant_id = 1) const uint HEAD_DIM = 64;
layout(constant_id = 2) const uint V_BEGIN = 512;
layout(constant_id = 3) const uint SCALES_BEGIN = 0;  // from the begin of K or V
layout(constant_id = 4) const uint TAGS_BEGIN = 1024;
layout(constant_id = 5) const uint SCORES_BEGIN = 1040;

#ifndef PAGE_QUALIFIER
#define PAGE_QUALIFIER  // coherent if lanes read what others wrote
#endif
layout(buffer_reference, std430, buffer_reference_align = 4) PAGE_QUALIFIER buffer PageWords { uint at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) PAGE_QUALIFIER buffer PageUnits { uvec4 at[]; };
#ifdef HAS_INT64
// A software driver loads number by number, whatever their size: 64-bit halves of units halve the number of loads.
layout(buffer_reference, std430, buffer_reference_align = 16) buffer PageHalfUnits { u64vec2 at[]; };
#endif

const uint PAGE_TOKENS = 16;
#ifdef CACHE_Q8
const uint UNIT_VALUES = 16, BLOCK_VALUES = 32;
const uint ROW_WORDS = HEAD_DIM / 4;
const uint N_BLOCKS = HEAD_DIM / BLOCK_VALUES;  // each has a scale
#else
const uint UNIT_VALUES = 8;
const uint ROW_WORDS = HEAD_DIM / 2;
const uint N_BLOCKS = 0;
#endif
const uint WORD_VALUES = UNIT_VALUES / 4;
const uint ROW_UNITS = (ROW_WORDS + 3) / 4;
const bool HAS_WHOLE_UNITS = ROW_WORDS % 4 == 0;  // then they are aligned

/// part: the word where K or V begins. Words behind the row's last one are zero.
uvec4 load_unit(uvec2 page, uint part, uint slot, uint unit) {
  const uint first = part + slot * ROW_WORDS + 4 * unit;
#ifdef HAS_INT64
  if (HAS_WHOLE_UNITS) {
    const u64vec2 halves = PageHalfUnits(page).at[first / 4];
    return uvec4(unpackUint2x32(halves.x), unpackUint2x32(halves.y));
  }
#else
  if (HAS_WHOLE_UNITS) return PageUnits(page).at[first / 4];
#endif
  uvec4 words = uvec4(0);
  [[unroll]] for (uint i = 0; i < 4; ++i)
    if (4 * unit + i < ROW_WORDS) words[i] = PageWords(page).at[first + i];
  return words;
}

/// Value i of a unit. For 8 bits, the scale is not applied.
float unit_value(uvec4 unit, uint i) {
#ifdef CACHE_Q8
  return float(bitfieldExtract(int(unit[i / 4]), 8 * int(i % 4), 8));
#else
  const vec2 pair = unpackHalf2x16(unit[i / 2]);
  return i % 2 == 0 ? pair.x : pair.y;
#endif
}

#ifdef CACHE_Q8
/// Scales of neighbouring slots share a word.
uint scale_word(uint part, uint slot, uint block) {
  return part + SCALES_BEGIN + (block * PAGE_TOKENS + slot) / 2;
}
uint load_scale(uvec2 page, uint part, uint slot, uint block) {
  return bitfieldExtract(PageWords(page).at[scale_word(part, slot, block)], 16 * int(slot % 2), 16);
}
/// The neighbour's scale is in the same word: no other lane may write it at the same time.
void store_scale(uvec2 page, uint part, uint slot, uint block, uint scale) {
  const uint word = scale_word(part, slot, block);
  PageWords(page).at[word] = bitfieldInsert(PageWords(page).at[word], scale, 16 * int(slot % 2), 16);
}
#endif

/// Size of a slot outside of pages: words of K, of V, then one word per scale of K, of V.
const uint SLOT_WORDS = 2 * ROW_WORDS + 2 * N_BLOCKS;
