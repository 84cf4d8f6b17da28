// K or V of some columns, from pages or from the scratch of a layer, to f32 in rows of whole texels: by columns, or
// transposed. One thread per four columns and four values. Later products then read every kind of cache the same way.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Constants { LoadColumnsConstants c; };
layout(binding = 0) readonly buffer Slabs { uvec2 slabs[]; };  // addresses
layout(binding = 1) readonly buffer Heads { uint heads[]; };   // VulkanBackend::head_table
layout(binding = 2) writeonly buffer Values { vec4 values[]; };
layout(binding = 3) writeonly buffer Positions { uint positions[]; };

#include "shaders/pages.glsl"
#include "shaders/scratch.glsl"

uvec2 page_address(uint page) {
  const uvec2 slab = slabs[page / c.pages_per_slab];
  uint carry;
  const uint low = uaddCarry(slab.x, page % c.pages_per_slab * c.page_bytes, carry);
  return uvec2(low, slab.y + carry);
}

/// Values 4 i … 4 i + 3 of K or V of a slot; zeros behind the last.
vec4 page_values(uvec2 page, uint part, uint slot, uint i) {
#ifdef CACHE_Q8
  const uint bits = PageWords(page).at[part + slot * ROW_WORDS + i];
  const ivec4 values = ivec4(bits << 24, bits << 16, bits << 8, bits) >> 24;
  return vec4(values) * unpackHalf2x16(load_scale(page, part, slot, i / 8)).x;
#else
  const uint at = part + slot * ROW_WORDS + 2 * i;
  const vec2 second = 2 * i + 1 < ROW_WORDS ? unpackHalf2x16(PageWords(page).at[at + 1]) : vec2(0);
  return vec4(unpackHalf2x16(PageWords(page).at[at]), second);
#endif
}

vec4 scratch_values(uint row, uint kv_head, uint i) {
  const uint half_at = ((c.is_v != 0 ? c.capacity_rows : 0) + row) * c.row_values + kv_head * c.head_dim + 4 * i;
  ScratchWords kv = ScratchWords(uvec2(c.kv_low, c.kv_high));
  const vec2 second = 4 * i + 2 < c.head_dim ? unpackHalf2x16(kv.at[half_at / 2 + 1]) : vec2(0);
  return vec4(unpackHalf2x16(kv.at[half_at / 2]), second);
}

void main() {
  const uint row_texels = (c.head_dim + 3) / 4, column_texels = (c.n_columns + 3) / 4;
  const uint i = gl_GlobalInvocationID.x % row_texels, four = gl_GlobalInvocationID.x / row_texels;
  const uint head = gl_WorkGroupID.y, kv_head = c.kv_head + head;
  if (four >= column_texels) return;
  const uint length = c.is_held != 0 ? min(heads[2 * kv_head], c.first + c.n_columns) : c.first + c.n_columns;
  mat4 block = mat4(0);  // each column is a column of attention
  for (uint j = 0; j < 4; ++j) {
    const uint at = c.first + 4 * four + j;
    if (at >= length) continue;
    if (c.is_held == 0) {
      block[j] = scratch_values(at, kv_head, i);
      continue;
    }
    const uvec2 page = page_address(heads[heads[2 * kv_head + 1] + at / PAGE_TOKENS]);
    block[j] = page_values(page, c.is_v != 0 ? V_BEGIN : 0, at % PAGE_TOKENS, i);
    if (c.has_positions != 0 && i == 0)
      positions[head * c.positions_stride + at] = PageWords(page).at[TAGS_BEGIN + at % PAGE_TOKENS] & 0x3fffffffu;
  }
  const uint stride = c.stride;
  if (c.is_transposed != 0) {
    block = transpose(block);
    for (uint j = 0; j < 4; ++j)
      values[(head * 4 * row_texels + 4 * i + j) * stride + four] = block[j];
  } else {
    for (uint j = 0; j < 4; ++j)
      values[(head * 4 * column_texels + 4 * four + j) * stride + i] = block[j];
  }
}
