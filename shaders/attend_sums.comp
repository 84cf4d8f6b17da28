// Sums of probabilities over rows, added to the sums of the profile: four columns of a query head a thread, which is
// the only one to write them.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "shaders/constants.h"

layout(local_size_x = 32) in;
layout(push_constant) uniform Constants { AttendSumsConstants c; };
layout(binding = 0) readonly buffer Heads { uint heads[]; };
layout(binding = 1) uniform utextureBuffer positions;
layout(binding = 2) uniform textureBuffer probabilities;
layout(binding = 3) buffer Col { float col[]; };
layout(binding = 4) buffer Win { float win[]; };
layout(binding = 5) buffer Recent { float recent[]; };

#include "shaders/score_block.glsl"

vec4 near(vec4 probability, int position, ivec4 columns, uint tokens) {
  return mix(vec4(0), probability, lessThan(ivec4(position) - columns, ivec4(tokens)));
}

void main() {
  const uint head = gl_WorkGroupID.y, n_held = head_held_texels(head);
  const uint i = gl_GlobalInvocationID.x;
  if (i >= n_held + turn_texels()) return;
  const bool is_held = i < n_held;
  const uint texel = is_held ? i : i - n_held;
  const ivec4 columns = is_held ? held_positions(head, texel) : turn_positions(texel);
  const int first = int(head * c.block.n_rows * c.block.stride + (is_held ? texel : c.block.held_texels + texel));
  const int position = int(c.block.position0 + c.block.row_first);
  // No row before the first of its columns sees any.
  const int begin = is_held ? 0 : max(columns.x - position, 0);
  vec4 sum = vec4(0), sum_recent = vec4(0), sum_win[3];
  [[unroll]] for (uint w = 0; w < 3; ++w) sum_win[w] = vec4(0);
  const int recent_begin = (c.flags & sums_recent) == 0
                               ? int(c.block.n_rows)
                               : clamp(int(c.recent_from) - int(c.block.row_first), begin, int(c.block.n_rows));
  const uint n_win = (c.flags & sums_win) != 0 ? c.n_win : 0;
  for (int r = begin; r < int(c.block.n_rows); ++r) {
    const vec4 probability = texelFetch(probabilities, first + r * int(c.block.stride));
    sum += probability;
    if (n_win > 0) sum_win[0] += near(probability, position + r, columns, c.win_tokens_0);
    if (n_win > 1) sum_win[1] += near(probability, position + r, columns, c.win_tokens_1);
    if (n_win > 2) sum_win[2] += near(probability, position + r, columns, c.win_tokens_2);
    if (r >= recent_begin) sum_recent += probability;
  }
  const uint q_head = c.q_head + head;
  const uint to = is_held ? 4 * texel : c.turn_column + 4 * texel;
  [[unroll]] for (uint j = 0; j < 4; ++j) {
    if (columns[j] == 0x3fffffff) continue;
    if ((c.flags & sums_col) != 0) col[c.col_offset + q_head * c.col_stride + to + j] += sum[j];
    [[unroll]] for (uint w = 0; w < 3; ++w) {
      if (w < n_win) win[c.win_offset + (w * c.n_q_heads + q_head) * c.win_stride + to + j] += sum_win[w][j];
    }
    if ((c.flags & sums_recent) != 0) recent[c.recent_offset + q_head * c.recent_stride + to + j] += sum_recent[j];
  }
}
