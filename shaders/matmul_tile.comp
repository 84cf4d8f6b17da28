// y = x * weight^T (+ bias) (+ y) for many rows of x: a work group computes 64 rows of the weight for 64 rows of x, a
// block of 32 inputs at a time. The weights of a block are unpacked once, into shared memory, for all of its tokens.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "shaders/constants.h"

layout(local_size_x = 256) in;
layout(push_constant) uniform Constants { MatmulConstants c; };
layout(binding = 0) readonly buffer Units { uvec4 units[]; };
layout(binding = 1) readonly buffer Words { uint stream_words[]; };
layout(binding = 2) readonly buffer X { vec4 x[]; };  // offset and stride count texels
layout(binding = 3) readonly buffer Bias { float bias[]; };
layout(binding = 4) buffer Y { float y[]; };

#define UNIT(i) units[i]
#define WORD(i) stream_words[i]
#include "shaders/weights.glsl"

const uint TILE = 64;
// Texels of a row stand TILE + 1 apart, so that lanes which take neighbouring rows meet different banks.
shared vec4 row_tile[8][TILE + 1];
shared vec4 token_tile[8][TILE + 1];

void main() {
  const uint row0 = gl_WorkGroupID.x * TILE, token0 = gl_WorkGroupID.y * TILE, lane = gl_LocalInvocationID.x;
  const uint my_rows = lane % 16 * 4, my_tokens = lane / 16 * 4;
  float sums[4][4];  // (row, token)
  [[unroll]] for (uint r = 0; r < 4; ++r) {
    [[unroll]] for (uint t = 0; t < 4; ++t) sums[r][t] = 0;
  }
  const uint n_blocks = (c.n_in + 31) / 32;
  for (uint b = 0; b < n_blocks; ++b) {
    // A quarter of the lanes unpack a row each, the others fetch the tokens.
    if (lane < TILE) {
      const uint row = min(row0 + lane, c.n_out - 1);
      const Block block = load_block(row * c.unit_row_stride, row * c.word_row_stride, b);
      [[unroll]] for (uint i = 0; i < 8; ++i) row_tile[i][lane] = block_values(block, i);
    } else {
      for (uint i = lane - TILE; i < 8 * TILE; i += 256 - TILE) {
        const uint token = min(token0 + i / 8, c.n_tokens - 1);
        token_tile[i % 8][i / 8] = x[c.x_offset + token * c.x_stride + b * 8 + i % 8];
      }
    }
    barrier();
    for (uint i = 0; i < 8; ++i) {
      vec4 weights[4];
      [[unroll]] for (uint r = 0; r < 4; ++r) weights[r] = row_tile[i][my_rows + r];
      [[unroll]] for (uint t = 0; t < 4; ++t) {
        const vec4 values = token_tile[i][my_tokens + t];
        [[unroll]] for (uint r = 0; r < 4; ++r) sums[r][t] += dot(weights[r], values);
      }
    }
    barrier();
  }
  [[unroll]] for (uint r = 0; r < 4; ++r) {
    [[unroll]] for (uint t = 0; t < 4; ++t) {
      const uint row = row0 + my_rows + r, token = token0 + my_tokens + t;
      if (row >= c.n_out || token >= c.n_tokens) continue;
      const uint at = c.y_offset + token * c.y_stride + row;
      float sum = sums[r][t];
      if ((c.flags & matmul_has_bias) != 0) sum += bias[c.bias_first + row];
      if ((c.flags & matmul_accumulates) != 0) sum += y[at];
      y[at] = sum;
    }
  }
}
