// Copies rows, or scores, of some slots for the host: one thread per word.
#version 460
#extension GL_GOOGLE_include_directive : require

#include "engine/backend/device/kernel_params.h"

#include "shaders/pages.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Constants { ReadSlotsConstants c; };
layout(binding = 0) readonly buffer List { uvec2 list[]; };  // a page's address, the slot in its low bits
layout(binding = 1) writeonly buffer Out { uint result[]; };

void main() {
  const uint n_words = c.is_scores != 0 ? 1 : SLOT_WORDS;
  const uint i = gl_GlobalInvocationID.x / n_words, word = gl_GlobalInvocationID.x % n_words;
  if (i >= c.n_slots) return;
  const uvec2 entry = list[c.list_begin + i], page = uvec2(entry.x & ~63u, entry.y);
  const uint slot = entry.x & 15u;
  uint value;
  if (c.is_scores != 0) {
    value = PageWords(page).at[SCORES_BEGIN + slot];
  } else if (word < 2 * ROW_WORDS) {
    value = PageWords(page).at[(word < ROW_WORDS ? 0 : V_BEGIN) + slot * ROW_WORDS + word % ROW_WORDS];
  } else {
#ifdef CACHE_Q8
    const uint scale = word - 2 * ROW_WORDS;
    value = load_scale(page, scale < N_BLOCKS ? 0 : V_BEGIN, slot, scale % N_BLOCKS);
#endif
  }
  result[i * n_words + word] = value;
}
