// Query heads that lie side by side in rows ─► one head behind the other in rows of whole texels, padded with zeros.
// Multiplies by a factor, or transposes and subtracts a shift. One thread per four rows and four values.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Constants { PackHeadsConstants c; };
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Shifts { float shifts[]; };
layout(binding = 2) writeonly buffer Out { vec4 result[]; };

void main() {
  const uint value_texels = (c.head_dim + 3) / 4, row_texels = (c.n_rows + 3) / 4;
  const uint i = gl_GlobalInvocationID.x % value_texels, four = gl_GlobalInvocationID.x / value_texels;
  const uint head = gl_WorkGroupID.y;
  if (four >= row_texels) return;
  mat4 block = mat4(0);  // each column is a row of x
  [[unroll]] for (uint j = 0; j < 4; ++j) {
    const uint row = 4 * four + j;
    if (row >= c.n_rows) continue;
    [[unroll]] for (uint k = 0; k < 4; ++k) {
      const uint value = 4 * i + k;
      if (value >= c.head_dim) continue;
      const float read = x[c.x_offset + row * c.x_stride + head * c.x_head + value];
      block[j][k] = c.is_transposed != 0 ? read - shifts[head * c.shift_stride + value] : read * c.factor;
    }
  }
  if (c.is_transposed != 0) {
    block = transpose(block);
    [[unroll]] for (uint j = 0; j < 4; ++j)
      result[(head * 4 * value_texels + 4 * i + j) * row_texels + four] = block[j];
  } else {
    [[unroll]] for (uint j = 0; j < 4; ++j) {
      if (4 * four + j < c.n_rows) result[(head * c.n_rows + 4 * four + j) * value_texels + i] = block[j];
    }
  }
}
