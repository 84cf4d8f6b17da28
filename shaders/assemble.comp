// A head's slots, from where each of them comes, into its new pages: a page a work group. Rows of f16 pages move in
// units a thread; of 8-bit pages a block of two neighbouring slots a thread, whose scales share a word.
#version 460
#extension GL_GOOGLE_include_directive : require

#include "shaders/constants.h"

#include "shaders/half.glsl"
#include "shaders/pages.glsl"
#include "shaders/scratch.glsl"
#ifdef CACHE_Q8
#include "shaders/quantize.glsl"
#endif

layout(local_size_x = 64) in;
layout(push_constant) uniform Constants { AssembleConstants c; };
layout(binding = 0) readonly buffer Sources { SourceWords sources[]; };
layout(binding = 1) readonly buffer PageList { uvec2 pages[]; };
layout(binding = 2) readonly buffer Log { uint log_words[]; };

uint kind_of(SourceWords source) {
  return source.low & 3u;
}
uvec2 page_of(SourceWords source) {
  return uvec2(source.low & ~63u, source.high);
}
uint slot_of(SourceWords source) {
  return source.low >> 2 & 15u;
}
uint kv_word(uint i) {
  return ScratchWords(uvec2(c.kv_low, c.kv_high)).at[i];
}
/// First word of a row of the log, or of the scratch.
uint log_begin(SourceWords source) {
  return c.log_begin + (source.low >> 2) * SLOT_WORDS;
}
uint kv_begin(SourceWords source, uint part) {
  return ((source.low >> 2) + part * c.kv_capacity_rows) * (c.kv_row_values / 2) + c.kv_first / 2;
}

#ifdef CACHE_Q8
/// Writes a block's values, returns its scale.
uint copy_block(uvec2 page, uint slot, uint part, uint block, SourceWords source) {
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
  const uint from = kv_begin(source, part) + block * BLOCK_VALUES / 2;
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

void copy_rows(uvec2 page, uint n_slots) {
  for (uint task = gl_LocalInvocationID.x; task < PAGE_TOKENS * N_BLOCKS; task += gl_WorkGroupSize.x) {
    const uint block = task % N_BLOCKS, part = task / N_BLOCKS % 2, slot = task / N_BLOCKS / 2 * 2;
    uint scales = 0;
    for (uint i = 0; i < 2 && slot + i < n_slots; ++i)
      scales |= copy_block(page, slot + i, part, block,
                           sources[c.source_begin + gl_WorkGroupID.x * PAGE_TOKENS + slot + i]) << 16 * i;
    if (slot < n_slots) PageWords(page).at[scale_word(part * V_BEGIN, slot, block)] = scales;
  }
}
#else
void copy_rows(uvec2 page, uint n_slots) {
  for (uint task = gl_LocalInvocationID.x; task < n_slots * 2 * ROW_UNITS; task += gl_WorkGroupSize.x) {
    const uint unit = task % ROW_UNITS, part = task / ROW_UNITS % 2, slot = task / ROW_UNITS / 2;
    const SourceWords source = sources[c.source_begin + gl_WorkGroupID.x * PAGE_TOKENS + slot];
    uvec4 words = uvec4(0);
    if (kind_of(source) == source_held) {
      words = load_unit(page_of(source), part * V_BEGIN, slot_of(source), unit);
    } else if (kind_of(source) == source_log) {
      const uint from = log_begin(source) + part * ROW_WORDS + 4 * unit;
      for (uint i = 0; i < 4; ++i)
        if (4 * unit + i < ROW_WORDS) words[i] = log_words[from + i];
    } else {
      const uint from = kv_begin(source, part) + 4 * unit;
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
  const uvec2 page = pages[c.page_begin + gl_WorkGroupID.x];
  const uint n_slots = min(c.n_slots - gl_WorkGroupID.x * PAGE_TOKENS, PAGE_TOKENS);
  copy_rows(page, n_slots);
  const uint slot = gl_LocalInvocationID.x;
  if (slot < n_slots) {
    const SourceWords source = sources[c.source_begin + gl_WorkGroupID.x * PAGE_TOKENS + slot];
    PageWords(page).at[TAGS_BEGIN + slot] = source.tag;
    PageWords(page).at[SCORES_BEGIN + slot] = floatBitsToUint(source.score);
  }
}
