// Products of f32 rows with f32 rows, many of them side by side, for software drivers: a lane computes four columns of
// y for eight rows. Neighbouring lanes take neighbouring columns; each of them fetches one of the rows of x and hands
// it to the others, since a fetch is what costs most there.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "shaders/constants.h"

layout(local_size_x = 8) in;
layout(binding = 0) uniform textureBuffer x;
layout(binding = 1) uniform textureBuffer w;
layout(binding = 2) readonly buffer Heads { uint heads[]; };
layout(binding = 3) buffer Y { float y[]; };

#include "shaders/batch_product.glsl"

const uint LANES = 8, LANE_N = 4, GROUP_M = 4;

void main() {
  const uint n0 = gl_WorkGroupID.x * LANES * LANE_N + gl_LocalInvocationID.x;
  const uint m0 = gl_WorkGroupID.y * GROUP_M, b = gl_WorkGroupID.z;
  const uint last_m = min(m0 + GROUP_M, c.n_m) - 1;
  if (gl_WorkGroupID.x * LANES * LANE_N >= needed_n(b, last_m)) return;
  int x_at[GROUP_M], w_at[LANE_N];
  vec4 sums[LANE_N];
  [[unroll]] for (uint m = 0; m < GROUP_M; ++m)
    x_at[m] = int(c.x_offset + b / c.x_group * c.x_batch + min(m0 + m, last_m) * c.x_stride);
  [[unroll]] for (uint n = 0; n < LANE_N; ++n) {
    w_at[n] = int(c.w_offset + b / c.w_group * c.w_batch + min(n0 + LANES * n, c.n_n - 1) * c.w_stride);
    sums[n] = vec4(0);
  }
  const int n_k = int(needed_k(b, last_m));
  for (int k = 0; k < n_k; ++k) {
    vec4 columns[LANE_N];
    [[unroll]] for (uint n = 0; n < LANE_N; ++n) columns[n] = texelFetch(w, w_at[n] + k);
    [[unroll]] for (uint m = 0; m < GROUP_M; ++m) {
      const vec4 row = texelFetch(x, x_at[m] + k);
      [[unroll]] for (uint n = 0; n < LANE_N; ++n) sums[n][m] += dot(row, columns[n]);
    }
  }
  [[unroll]] for (uint m = 0; m < GROUP_M; ++m) {
    [[unroll]] for (uint n = 0; n < LANE_N; ++n) store(b, m0 + m, n0 + LANES * n, sums[n][m]);
  }
}
