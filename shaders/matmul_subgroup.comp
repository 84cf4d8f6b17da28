// y = x * weight^T (+ bias) (+ y): a subgroup computes one row of the weight for one row of x; its lanes read
// adjacent blocks, so that a GPU reads the row in wide pieces. For decoding, and for prompts of a few tokens. With
// HAS_DOT, x has 16 bits, and weights stay integers.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "engine/backend/device/kernel_params.h"

#extension GL_KHR_shader_subgroup_arithmetic : require

layout(local_size_x_id = 0) in;  // one subgroup
layout(push_constant) uniform Constants { MatmulConstants c; };
layout(binding = 0) readonly buffer Units { uvec4 units[]; };
layout(binding = 1) readonly buffer Words { uint plane_words[]; };
#ifdef HAS_DOT
layout(binding = 2) readonly buffer X { uvec4 x[]; };  // blocks of quantize_rows.comp
#else
layout(binding = 2) readonly buffer X { vec4 x[]; };
#endif
layout(binding = 3) readonly buffer Bias { float bias[]; };
layout(binding = 4) buffer Y { float y[]; };

#define UNIT(i) units[i]
#define WORD(i) plane_words[i]
#include "shaders/weights.glsl"

/// Products of a block of weights with block b of the row of x that begins at x[first].
#ifdef HAS_DOT
#include "shaders/integer_dot.glsl"

float block_product(Block block, uint first, uint b) {
  const uint at = first + b * x_block_texels;
  const uvec4 upper[2] = {x[at], x[at + 1]}, lower[2] = {x[at + 2], x[at + 3]};
  const vec4 factors = uintBitsToFloat(x[at + 4]);
  float sum = 0;
  [[unroll]] for (uint s = 0; s < N_SCALES; ++s) {
    int high = 0, low = 0;
    [[unroll]] for (uint i = s * 8 / N_SCALES; i < (s + 1) * 8 / N_SCALES; ++i) {
      const uint q = block_bytes(block, i);
      high += dot_bytes(q, upper[i / 4][i % 4]);
      low += dot_bytes(q, lower[i / 4][i % 4]);
    }
    sum += scaled_product(high, low, factors, block.scale[s], block.offset[s], s);
  }
  return sum;
}
#else
float block_product(Block block, uint first, uint b) {
  float sum = 0;
  [[unroll]] for (uint i = 0; i < 8; ++i) sum += dot(block_values(block, i), x[first + b * 8 + i]);
  return sum;
}
#endif

void main() {
  // Large vocabularies exceed the limit of groups in x, so rows are spread over x and z.
  const uint row = gl_WorkGroupID.z * gl_NumWorkGroups.x + gl_WorkGroupID.x, token = gl_WorkGroupID.y;
  if (row >= c.n_out) return;
  const uint n_blocks = (c.n_in + 31) / 32;
  const uint first = c.x_offset + token * c.x_stride;
  float sum = 0;
  for (uint b = gl_SubgroupInvocationID; b < n_blocks; b += gl_SubgroupSize) {
    const Block block = load_block(row * c.unit_row_stride, row * c.word_row_stride, b);
    sum += block_product(block, first, b);
  }
  sum = subgroupAdd(sum);
  if (!subgroupElect()) return;
  const uint at = c.y_offset + token * c.y_stride + row;
  if ((c.flags & matmul_has_bias) != 0) sum += bias[c.bias_first + row];
  if ((c.flags & matmul_accumulates) != 0) sum += y[at];
  y[at] = sum;
}
