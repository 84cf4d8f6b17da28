// y = x * weight^T (+ bias) (+ y): a lane computes N_LANE_ROWS rows of the weight for N_LANE_TOKENS rows of x. Neighbouring
// lanes read neighbouring rows, and all lanes read the same x. Made for software drivers, where the number of
// instructions is the cost: texels of four values need the fewest, and everything is unrolled.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x = 8) in;
layout(constant_id = 0) const uint N_LANE_TOKENS = 1;  // 1 or 4
const uint N_LANE_ROWS = 4;
layout(push_constant) uniform Constants { MatmulConstants c; };
layout(binding = 0) uniform utextureBuffer units;
layout(binding = 1) readonly buffer Words { uint plane_words[]; };
layout(binding = 2) uniform textureBuffer x;  // offset and stride count texels
layout(binding = 3) readonly buffer Bias { float bias[]; };
layout(binding = 4) buffer Y { float y[]; };

#define UNIT(i) texelFetch(units, int(i))
#define WORD(i) plane_words[i]
#include "shaders/weights.glsl"

void store(uint row, uint token, float value) {
  if (row >= c.n_out) return;
  const uint at = c.y_offset + token * c.y_stride + row;
  if ((c.flags & matmul_has_bias) != 0) value += bias[c.bias_first + row];
  if ((c.flags & matmul_accumulates) != 0) value += y[at];
  y[at] = value;
}

void main() {
  const uint n_threads = (c.n_out + N_LANE_ROWS - 1) / N_LANE_ROWS;
  const uint row0 = gl_GlobalInvocationID.x, token0 = gl_WorkGroupID.y * N_LANE_TOKENS;
  if (row0 >= n_threads) return;
  uint rows[N_LANE_ROWS];
  vec4 sums[N_LANE_ROWS];  // one component per token
  [[unroll]] for (uint r = 0; r < N_LANE_ROWS; ++r) {
    rows[r] = min(row0 + r * n_threads, c.n_out - 1);
    sums[r] = vec4(0);
  }
  const uint n_blocks = (c.n_in + 31) / 32;
  for (uint b = 0; b < n_blocks; ++b) {
    Block blocks[N_LANE_ROWS];
    [[unroll]] for (uint r = 0; r < N_LANE_ROWS; ++r)
      blocks[r] = load_block(rows[r] * c.unit_row_stride, rows[r] * c.word_row_stride, b);
    [[unroll]] for (uint i = 0; i < 8; ++i) {
      vec4 weights[N_LANE_ROWS];
      [[unroll]] for (uint r = 0; r < N_LANE_ROWS; ++r) weights[r] = block_values(blocks[r], i);
      const uint at = c.x_offset + token0 * c.x_stride + b * 8 + i;
      {
        const vec4 values = texelFetch(x, int(at));
        [[unroll]] for (uint r = 0; r < N_LANE_ROWS; ++r) sums[r].x += dot(weights[r], values);
      }
      if (N_LANE_TOKENS == 4) {
        const vec4 y1 = texelFetch(x, int(at + c.x_stride));
        const vec4 y2 = texelFetch(x, int(at + 2 * c.x_stride));
        const vec4 y3 = texelFetch(x, int(at + 3 * c.x_stride));
        [[unroll]] for (uint r = 0; r < N_LANE_ROWS; ++r) {
          sums[r].y += dot(weights[r], y1);
          sums[r].z += dot(weights[r], y2);
          sums[r].w += dot(weights[r], y3);
        }
      }
    }
  }
  [[unroll]] for (uint r = 0; r < N_LANE_ROWS; ++r) {
    [[unroll]] for (uint t = 0; t < N_LANE_TOKENS; ++t) store(row0 + r * n_threads, token0 + t, sums[r][t]);
  }
}
