// gate = act(gate) * up, one thread per value. act is SiLU or the tanh form of GELU, x * logistic(2u).
#version 460
#extension GL_GOOGLE_include_directive : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Constants { GatedActivationConstants c; };
layout(binding = 0) buffer Gate { float gate[]; };
layout(binding = 1) readonly buffer Up { float up[]; };

void main() {
  const uint column = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
  if (column >= c.n_cols) return;
  const uint at = c.gate_offset + row * c.gate_stride + column;
  const float x = gate[at];
  const float two_sqrt_2_over_pi = 1.59576912160573071;
  const float argument = c.activation == 0 ? x : two_sqrt_2_over_pi * (x + 0.044715 * x * x * x);
  // Without the clamp, exp would overflow for arguments below -88.
  const float activated = x / (1 + exp(-clamp(argument, -87.0, 87.0)));
  gate[at] = activated * up[c.up_offset + row * c.up_stride + column];
}
