// Writes addresses of new pages into the page table, one change per thread.
#version 460
#extension GL_GOOGLE_include_directive : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Constants { UpdatePagesConstants c; };
layout(binding = 0) readonly buffer Step { StepState step_state; };
layout(binding = 1) readonly buffer Changes { PageChange changes[]; };
layout(binding = 2) writeonly buffer PageTable { uvec2 pages[]; };

void main() {
  const uint i = gl_GlobalInvocationID.x;
  if (i >= step_state.n_changes) return;
  const PageChange change = changes[c.change_begin + i];
  pages[change.index] = uvec2(change.low, change.high);
}
