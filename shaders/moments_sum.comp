// First moments: sums of a query head's rows, which are transposed and have the shift subtracted. One thread per value.
#version 460
#extension GL_GOOGLE_include_directive : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x = 32) in;
layout(push_constant) uniform Constants { MomentsSumConstants c; };
layout(binding = 0) uniform textureBuffer x;  // (head, value, row)
layout(binding = 1) buffer Moments { float moments[]; };

void main() {
  const uint value = gl_GlobalInvocationID.x, head = gl_WorkGroupID.y;
  if (value >= c.head_dim) return;
  const uint row_texels = (c.n_rows + 3) / 4, value_rows = (c.head_dim + 3) / 4 * 4;
  const uint first = (head * value_rows + value) * row_texels;
  vec4 sum = vec4(0);
  for (uint i = 0; i < row_texels; ++i) sum += texelFetch(x, int(first + i));
  moments[head * c.head_dim * (c.head_dim + 2) + c.head_dim + value] += (sum.x + sum.y) + (sum.z + sum.w);
}
