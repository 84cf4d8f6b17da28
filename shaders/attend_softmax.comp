// Largest score of a row, and 1 / sum of 2^(score - largest): one subgroup per row.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_arithmetic : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x_id = 0) in;  // one subgroup
layout(push_constant) uniform Constants { AttendSoftmaxConstants c; };
layout(binding = 0) readonly buffer Heads { uint heads[]; };
layout(binding = 1) uniform textureBuffer scores;
layout(binding = 2) writeonly buffer Out { vec2 result[]; };

#include "shaders/score_block.glsl"

void main() {
  const uint row = gl_WorkGroupID.x, head = gl_WorkGroupID.y;
  // Texels behind the one that holds the row itself may be unwritten.
  const uint n_held = head_held_texels(head), n = n_held + (c.block.row_first + row - c.block.turn_first) / 4 + 1;
  const uint first = (head * c.block.n_rows + row) * c.block.stride;
  const uint held_texels = c.block.held_texels;
  vec4 found = vec4(lowest_score);
  for (uint i = gl_SubgroupInvocationID; i < n; i += gl_SubgroupSize)
    found = max(found, texelFetch(scores, int(first + score_texel(i, n_held, held_texels))));
  const float largest = subgroupMax(max(max(found.x, found.y), max(found.z, found.w)));
  vec4 sums = vec4(0);
  for (uint i = gl_SubgroupInvocationID; i < n; i += gl_SubgroupSize)
    sums += exp2(texelFetch(scores, int(first + score_texel(i, n_held, held_texels))) - largest);
  const float sum = subgroupAdd((sums.x + sums.y) + (sums.z + sums.w));
  if (subgroupElect()) result[head * ((c.block.n_rows + 1) / 2 * 2) + row] = vec2(largest, 1 / sum);
}
