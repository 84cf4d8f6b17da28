// x += y, one thread per value.
#version 460
#extension GL_GOOGLE_include_directive : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Constants { AddConstants c; };
layout(binding = 0) buffer X { float x[]; };
layout(binding = 1) readonly buffer Y { float y[]; };

void main() {
  const uint column = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
  if (column >= c.n_cols) return;
  x[c.x_offset + row * c.x_stride + column] += y[c.y_offset + row * c.y_stride + column];
}
