// out = x / sqrt(mean(x^2) + eps) * gain, one subgroup per row, so that no barrier is needed. out may be x.
#version 460
#extension GL_GOOGLE_include_directive : require

#include "engine/backend/device/kernel_params.h"

#extension GL_KHR_shader_subgroup_arithmetic : require
// A work group is one subgroup: SUBGROUP lanes, set when the pipeline is made.
layout(local_size_x_id = 0) in;
layout(push_constant) uniform Constants { RmsNormConstants c; };
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Gain { float gain[]; };
layout(binding = 2) writeonly buffer Out { float result[]; };

void main() {
  const uint first = c.x_offset + gl_WorkGroupID.x * c.x_stride;
  const uint to = c.out_offset + gl_WorkGroupID.x * c.out_stride;
  float sum = 0;
  for (uint i = gl_SubgroupInvocationID; i < c.n_cols; i += gl_SubgroupSize) sum += x[first + i] * x[first + i];
  const float factor = inversesqrt(subgroupAdd(sum) / float(c.n_cols) + c.eps);
  for (uint i = gl_SubgroupInvocationID; i < c.n_cols; i += gl_SubgroupSize) result[to + i] = x[first + i] * factor * gain[i];
}
