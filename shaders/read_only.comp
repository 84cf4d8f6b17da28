// Reads a buffer and writes nothing, to measure the bandwidth that a stage is compared with.
#version 460
#extension GL_GOOGLE_include_directive : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Constants { ReadOnlyConstants c; };
layout(binding = 0) readonly buffer From { uvec4 units[]; };
layout(binding = 1) writeonly buffer To { uint result[]; };

void main() {
  uvec4 sum = uvec4(0);
  for (uint i = gl_GlobalInvocationID.x; i < c.n_units; i += gl_NumWorkGroups.x * 64) sum ^= units[i];
  // Practically never true, but the compiler cannot know that and must keep the loads.
  if ((sum.x ^ sum.y ^ sum.z ^ sum.w) == 0x9e3779b9u) result[0] = sum.x;
}
