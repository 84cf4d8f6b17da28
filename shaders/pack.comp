// Copies rows of a matrix to rows of whole texels, which the matrix product reads. Pads with zeros.
#version 460
#extension GL_GOOGLE_include_directive : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Constants { PackConstants c; };
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) writeonly buffer Out { float result[]; };  // (n_rows, n_cols up to a multiple of 32)

void main() {
  const uint column = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y, stride = (c.n_cols + 31) / 32 * 32;
  if (column >= stride) return;
  result[row * stride + column] = column < c.n_cols ? x[c.x_offset + row * c.x_stride + column] : 0;
}
