// Scores, in powers of two, to probabilities in place: a row a subgroup. What a row does not see becomes zero.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_arithmetic : require

#include "shaders/constants.h"

layout(local_size_x_id = 0) in;  // one subgroup
layout(push_constant) uniform Constants { AttendSoftmaxConstants c; };
layout(binding = 0) readonly buffer Heads { uint heads[]; };
layout(binding = 1) uniform utextureBuffer positions;
layout(binding = 2) uniform textureBuffer scores;
layout(binding = 3) writeonly buffer Out { vec4 result[]; };  // the scores' buffer

#include "shaders/score_block.glsl"

const float lowest = -3e38;

void main() {
  const uint row = gl_WorkGroupID.x, head = gl_WorkGroupID.y;
  const uint n_held = head_held_texels(head), n = n_held + turn_texels();
  const uint first = (head * c.block.n_rows + row) * c.block.stride;
  const int position = int(c.block.position0 + c.block.row_first + row);
  float largest = lowest;
  for (uint i = gl_SubgroupInvocationID; i < n; i += gl_SubgroupSize) {
    const bool is_held = i < n_held;
    const uint texel = is_held ? i : i - n_held;
    const bvec4 seen = is_seen(position, is_held ? held_positions(head, texel) : turn_positions(texel));
    const uint at = first + (is_held ? texel : c.block.held_texels + texel);
    const vec4 score = mix(vec4(lowest), texelFetch(scores, int(at)), seen);
    largest = max(largest, max(max(score.x, score.y), max(score.z, score.w)));
  }
  largest = subgroupMax(largest);
  vec4 sums = vec4(0);
  for (uint i = gl_SubgroupInvocationID; i < n; i += gl_SubgroupSize) {
    const bool is_held = i < n_held;
    const uint texel = is_held ? i : i - n_held;
    const bvec4 seen = is_seen(position, is_held ? held_positions(head, texel) : turn_positions(texel));
    const uint at = first + (is_held ? texel : c.block.held_texels + texel);
    sums += mix(vec4(0), exp2(texelFetch(scores, int(at)) - largest), seen);
  }
  const float factor = 1 / subgroupAdd(sums.x + sums.y + sums.z + sums.w);
  for (uint i = gl_SubgroupInvocationID; i < n; i += gl_SubgroupSize) {
    const bool is_held = i < n_held;
    const uint texel = is_held ? i : i - n_held;
    const bvec4 seen = is_seen(position, is_held ? held_positions(head, texel) : turn_positions(texel));
    const uint at = first + (is_held ? texel : c.block.held_texels + texel);
    result[at] = mix(vec4(0), exp2(texelFetch(scores, int(at)) - largest) * factor, seen);
  }
}
