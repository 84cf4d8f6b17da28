// Sums of probabilities over rows, added to the sums of the profile. One thread per four columns of a query head; no
// other thread writes them.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x = 32) in;
layout(constant_id = 0) const uint N_WIN = 3;       // number of windows to sum
layout(constant_id = 1) const uint HAS_RECENT = 1;  // some rows count for the recent ones
layout(push_constant) uniform Constants { AttendSumsConstants c; };
layout(binding = 0) readonly buffer Heads { uint heads[]; };
layout(binding = 1) uniform utextureBuffer positions;
layout(binding = 2) uniform textureBuffer scores;
layout(binding = 3) uniform textureBuffer row_sums;  // two rows per texel
layout(binding = 4) buffer Col { float col[]; };
layout(binding = 5) buffer Win { float win[]; };
layout(binding = 6) buffer Recent { float recent[]; };

#include "shaders/score_block.glsl"

vec4 near(vec4 probability, ivec4 distance, uint tokens) {
  return mix(vec4(0), probability, lessThan(distance, ivec4(tokens)));
}

vec4 sum_col = vec4(0), sum_recent = vec4(0), sum_win[3] = vec4[3](vec4(0), vec4(0), vec4(0));

// Read once: lavapipe reads a push constant per lane, and again behind every branch.
uint win_tokens[3] = uint[3](c.win_tokens_0, c.win_tokens_1, c.win_tokens_2);

void add_row(vec4 score, vec2 row_sum, ivec4 distance, bool is_recent) {
  const vec4 probability = exp2(score - row_sum.x) * row_sum.y;
  sum_col += probability;
  if (N_WIN > 0) sum_win[0] += near(probability, distance, win_tokens[0]);
  if (N_WIN > 1) sum_win[1] += near(probability, distance, win_tokens[1]);
  if (N_WIN > 2) sum_win[2] += near(probability, distance, win_tokens[2]);
  if (HAS_RECENT != 0) sum_recent += is_recent ? probability : vec4(0);
}

void main() {
  const uint head = gl_WorkGroupID.y, n_held = head_held_texels(head), i = gl_GlobalInvocationID.x;
  if (i >= n_held + (c.block.n_turn + 3) / 4) return;
  const bool is_held = i < n_held;
  const uint kv = head / c.block.group, texel = is_held ? i : i - n_held;
  const int n_rows = int(c.block.n_rows), position = int(c.block.position0 + c.block.row_first);
  const ivec4 columns = is_held ? ivec4(texelFetch(positions, int(kv * c.block.held_texels + texel)))
                                : ivec4(c.block.position0 + c.block.turn_first + 4 * texel) + ivec4(0, 1, 2, 3);
  // How many of the four columns exist.
  const uint n = is_held ? heads[2 * (c.block.kv_head + kv)] - 4 * texel : c.block.n_turn - 4 * texel;
  const int first = int(head * c.block.n_rows * c.block.stride + score_texel(i, n_held, c.block.held_texels));
  const int stride = int(c.block.stride), row_texels = (n_rows + 1) / 2;
  const int recent_begin = int(c.recent_from) - int(c.block.row_first);
  // Rows before the first column see none of them.
  for (int r = is_held ? 0 : max(columns.x - position, 0) / 2 * 2; r < n_rows; r += 2) {
    const vec4 row_sum = texelFetch(row_sums, int(head) * row_texels + r / 2);
    add_row(texelFetch(scores, first + r * stride), row_sum.xy, ivec4(position + r) - columns, r >= recent_begin);
    if (r + 1 < n_rows)
      add_row(texelFetch(scores, first + (r + 1) * stride), row_sum.zw, ivec4(position + r + 1) - columns,
              r + 1 >= recent_begin);
  }
  const bool has_col = c.has_col != 0;
  const uint q_head = c.q_head + head, to = is_held ? 4 * texel : c.turn_column + 4 * texel;
  const uint col_at = c.col_offset + q_head * c.col_stride + to;
  const uint win_at = c.win_offset + q_head * c.win_stride + to, win_step = c.n_q_heads * c.win_stride;
  const uint recent_at = c.recent_offset + q_head * c.recent_stride + to;
  [[unroll]] for (uint j = 0; j < 4; ++j) {
    if (j >= n) continue;
    if (has_col) col[col_at + j] += sum_col[j];
    [[unroll]] for (uint w = 0; w < 3; ++w) {
      if (w < N_WIN) win[win_at + w * win_step + j] += sum_win[w][j];
    }
    if (HAS_RECENT != 0) recent[recent_at + j] += sum_recent[j];
  }
}
