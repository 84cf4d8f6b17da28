// Products of f32 rows with f32 rows, many of them side by side, for software drivers: a lane computes some columns of
// y for eight rows. Neighbouring lanes compute neighbouring columns. Each lane fetches one row of x and shares it with
// the others, since a fetch is the most expensive operation there.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_shuffle : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x_id = 0) in;  // one subgroup
layout(constant_id = 1) const uint GROUP_M = 8;  // at most 8 and the subgroup size
layout(binding = 0) uniform textureBuffer x;
layout(binding = 1) uniform textureBuffer w;

#include "shaders/batch_product.glsl"

#ifdef IS_MIX
const uint LANE_N = 8;  // then fewer groups compute the same exp2
#else
const uint LANE_N = 4;
#endif

vec4 columns[LANE_N];
float sums[LANE_N][GROUP_M];

void add_products(vec4 mine) {
  [[unroll]] for (uint m = 0; m < GROUP_M; ++m) {
    const vec4 row = subgroupShuffle(mine, m);
    [[unroll]] for (uint n = 0; n < LANE_N; ++n) sums[n][m] += dot(row, columns[n]);
  }
}

void main() {
  const uint lane = gl_SubgroupInvocationID, lanes = gl_WorkGroupSize.x;
  const uint group_n = gl_WorkGroupID.x * lanes * LANE_N, n0 = group_n + lane;
  const uint m0 = gl_WorkGroupID.y * GROUP_M, b = gl_WorkGroupID.z;
  const uint last_m = min(m0 + GROUP_M, c.n_m) - 1, my_m = min(m0 + lane, last_m);
  if (group_n >= needed_n(b, last_m)) return;
  const int x_at = int(c.x_offset + b / c.x_group * c.x_batch + my_m * c.x_stride);
  const vec2 my_row = row_sum(b, my_m);
  int w_at[LANE_N];
  [[unroll]] for (uint n = 0; n < LANE_N; ++n) {
    w_at[n] = int(c.w_offset + b / c.w_group * c.w_batch + min(n0 + lanes * n, c.n_n - 1) * c.w_stride);
    [[unroll]] for (uint m = 0; m < GROUP_M; ++m) sums[n][m] = 0;
  }
  const int n_k = int(needed_k(b, last_m));
  for (int k = 0; k < n_k; ++k) {
    [[unroll]] for (uint n = 0; n < LANE_N; ++n) columns[n] = texelFetch(w, w_at[n] + k);
    add_products(x_values(texelFetch(x, x_at + k), my_row.x));
  }
  prepare_stores(b);
  [[unroll]] for (uint n = 0; n < LANE_N; ++n) {
    const int distance = first_distance(b, n0 + lanes * n);
    [[unroll]] for (uint m = 0; m < GROUP_M; ++m)
      store(m0 + m, n0 + lanes * n, sums[n][m] * subgroupShuffle(my_row.y, m), distance);
  }
}
