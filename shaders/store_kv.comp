// Rounds K and V of some rows to f16 into the scratch of a layer: one thread per word of two values.
#version 460
#extension GL_GOOGLE_include_directive : require

#include "engine/backend/device/kernel_params.h"

#include "shaders/half.glsl"
#include "shaders/scratch.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Constants { StoreKvConstants c; };
layout(binding = 0) readonly buffer K { float k[]; };
layout(binding = 1) readonly buffer V { float v[]; };

void main() {
  const uint pair = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y, row_words = c.row_values / 2;
  if (pair >= row_words) return;
  const uint to = (c.first_row + row) * row_words + pair, v_begin = c.capacity_rows * row_words;
  const uint from_k = c.k_offset + row * c.k_stride + 2 * pair, from_v = c.v_offset + row * c.v_stride + 2 * pair;
  ScratchWords kv = ScratchWords(uvec2(c.kv_low, c.kv_high));
  kv.at[to] = pack_halves(k[from_k], k[from_k + 1]);
  kv.at[v_begin + to] = pack_halves(v[from_v], v[from_v + 1]);
}
