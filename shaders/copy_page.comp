// Copies a page to another, one thread per 16 bytes.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Constants { CopyPageConstants c; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer PageUnits { uvec4 at[]; };

void main() {
  const uint i = gl_GlobalInvocationID.x;
  if (i >= c.n_units) return;
  PageUnits(uvec2(c.to_low, c.to_high)).at[i] = PageUnits(uvec2(c.from_low, c.from_high)).at[i];
}
