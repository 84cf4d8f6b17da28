// Copies slots of some heads from their sources into new pages, one work group per page. One thread per unit of a row
// of f16, or per block of two neighbouring slots of 8 bits, whose scales share a word.
#version 460
#extension GL_GOOGLE_include_directive : require

#include "engine/backend/device/kernel_params.h"

#include "shaders/half.glsl"
#include "shaders/pages.glsl"
#include "shaders/scratch.glsl"
#ifdef CACHE_Q8
#include "shaders/quantize.glsl"
#endif

layout(local_size_x = 64) in;
layout(push_constant) uniform Constants { GatherSlotsConstants c; };
layout(binding = 0) readonly buffer Sources { SlotSourceWords sources[]; };
layout(binding = 1) readonly buffer PageList { uint page_words[]; };  // GatherPage
layout(binding = 2) readonly buffer Log { uint log_words[]; };

GatherPage load_page(uint i) {
  const uint at = c.page_begin + 5 * i;
  return GatherPage(page_words[at], page_words[at + 1], page_words[at + 2], page_words[at + 3], page_words[at + 4]);
}

uint kind_of(SlotSourceWords source) {
  return source.low & 3u;
}
uvec2 page_of(SlotSourceWords source) {
  return uvec2(source.low & ~63u, source.high);
}
uint slot_of(SlotSourceWords source) {
  return source.low >> 2 & 15u;
}
uint kv_word(uint i) {
  return ScratchWords(uvec2(c.kv_low, c.kv_high)).at[i];
}
/// First word of a row of the log, or of the scratch.
uint log_begin(SlotSourceWords source) {
  return c.log_begin + (source.low >> 2) * SLOT_WORDS;
}
uint kv_begin(SlotSourceWords source, uint part, uint kv_first) {
  return ((source.low >> 2) + part * c.kv_capacity_rows) * (c.kv_row_values / 2) + kv_first / 2;
}

#ifdef CACHE_Q8
/// Writes a block's values and returns its scale.
uint copy_block(uvec2 page, uint slot, uint part, uint block, SlotSourceWords source, uint kv_first) {
  const uint v_begin = part * V_BEGIN, first = block * BLOCK_VALUES / 4;
  const uint to = v_begin + slot * ROW_WORDS + first;
  if (kind_of(source) == source_held) {
    for (uint i = 0; i < 2; ++i)
      PageUnits(page).at[to / 4 + i] = load_unit(page_of(source), v_begin, slot_of(source), block * 2 + i);
    return load_scale(page_of(source), v_begin, slot_of(source), block);
  }
  if (kind_of(source) == source_log) {
    for (uint i = 0; i < BLOCK_VALUES / 4; ++i)
      PageWords(page).at[to + i] = log_words[log_begin(source) + part * ROW_WORDS + first + i];
    return log_words[log_begin(source) + 2 * ROW_WORDS + part * N_BLOCKS + block];
  }
  const uint from = kv_begin(source, part, kv_first) + block * BLOCK_VALUES / 2;
  float largest = 0;
  for (uint i = 0; i < BLOCK_VALUES / 2; ++i) {
    const vec2 pair = abs(unpackHalf2x16(kv_word(from + i)));
    largest = max(largest, max(pair.x, pair.y));
  }
  const uint scale = block_scale(largest);
  for (uint i = 0; i < BLOCK_VALUES / 4; ++i) {
    const vec4 values = vec4(unpackHalf2x16(kv_word(from + 2 * i)), unpackHalf2x16(kv_word(from + 2 * i + 1)));
    uint word = 0;
    for (uint b = 0; b < 4; ++b) word |= (uint(quantized(values[b], scale_value(scale))) & 0xffu) << 8 * b;
    PageWords(page).at[to + i] = word;
  }
  return scale;
}

void copy_rows(GatherPage to_page) {
  const uvec2 page = uvec2(to_page.low, to_page.high);
  const uint n_slots = to_page.n_slots, first_source = c.source_begin + to_page.first_source;
  for (uint task = gl_LocalInvocationID.x; task < PAGE_TOKENS * N_BLOCKS; task += gl_WorkGroupSize.x) {
    const uint block = task % N_BLOCKS, part = task / N_BLOCKS % 2, slot = task / N_BLOCKS / 2 * 2;
    uint scales = 0;
    for (uint i = 0; i < 2 && slot + i < n_slots; ++i)
      scales |= copy_block(page, slot + i, part, block, sources[first_source + slot + i], to_page.kv_first) << 16 * i;
    if (slot < n_slots) PageWords(page).at[scale_word(part * V_BEGIN, slot, block)] = scales;
  }
}
#else
void copy_rows(GatherPage to_page) {
  const uvec2 page = uvec2(to_page.low, to_page.high);
  const uint n_slots = to_page.n_slots, first_source = c.source_begin + to_page.first_source;
  for (uint task = gl_LocalInvocationID.x; task < n_slots * 2 * ROW_UNITS; task += gl_WorkGroupSize.x) {
    const uint unit = task % ROW_UNITS, part = task / ROW_UNITS % 2, slot = task / ROW_UNITS / 2;
    const SlotSourceWords source = sources[first_source + slot];
    uvec4 words = uvec4(0);
    if (kind_of(source) == source_held) {
      words = load_unit(page_of(source), part * V_BEGIN, slot_of(source), unit);
    } else if (kind_of(source) == source_log) {
      const uint from = log_begin(source) + part * ROW_WORDS + 4 * unit;
      for (uint i = 0; i < 4; ++i)
        if (4 * unit + i < ROW_WORDS) words[i] = log_words[from + i];
    } else {
      const uint from = kv_begin(source, part, to_page.kv_first) + 4 * unit;
      for (uint i = 0; i < 4; ++i)
        if (4 * unit + i < ROW_WORDS) words[i] = kv_word(from + i);
    }
    const uint to = part * V_BEGIN + slot * ROW_WORDS + 4 * unit;
    if (HAS_WHOLE_UNITS) {
      PageUnits(page).at[to / 4] = words;
    } else {
      for (uint i = 0; i < 4; ++i)
        if (4 * unit + i < ROW_WORDS) PageWords(page).at[to + i] = words[i];
    }
  }
}
#endif

void main() {
  const uint i = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
  if (i >= c.n_pages) return;
  const GatherPage page = load_page(i);
  copy_rows(page);
  const uint slot = gl_LocalInvocationID.x;
  if (slot < page.n_slots) {
    const SlotSourceWords source = sources[c.source_begin + page.first_source + slot];
    const uvec2 to = uvec2(page.low, page.high);
    PageWords(to).at[TAGS_BEGIN + slot] = source.tag;
    PageWords(to).at[SCORES_BEGIN + slot] = floatBitsToUint(source.score);
  }
}
