// Products of f32 rows with f32 rows, many of them side by side, for GPUs: a work group computes 64 columns of y for 64
// rows, eight texels along k at a time through shared memory.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x = 256) in;
layout(binding = 0) readonly buffer X { vec4 x[]; };
layout(binding = 1) readonly buffer W { vec4 w[]; };

#include "shaders/batch_product.glsl"

const uint TILE = 64, STEP = 8;
// Texels of a row are TILE + 1 apart, so that lanes with neighbouring rows use different banks.
shared vec4 x_tile[STEP][TILE + 1];
shared vec4 w_tile[STEP][TILE + 1];

void main() {
  const uint n0 = gl_WorkGroupID.x * TILE, m0 = gl_WorkGroupID.y * TILE, b = gl_WorkGroupID.z;
  const uint last_m = min(m0 + TILE, c.n_m) - 1, lane = gl_LocalInvocationID.x;
  if (n0 >= needed_n(b, last_m)) return;
  // Columns of a thread are 16 apart, so that a row's stores are neighbours.
  const uint my_n = lane % 16, my_m = lane / 16 * 4;
  const uint x_begin = c.x_offset + b / c.x_group * c.x_batch, w_begin = c.w_offset + b / c.w_group * c.w_batch;
  float sums[4][4];  // (m, n)
  [[unroll]] for (uint m = 0; m < 4; ++m) {
    [[unroll]] for (uint n = 0; n < 4; ++n) sums[m][n] = 0;
  }
  const uint n_k = needed_k(b, last_m);
  float largest[STEP * TILE / 256];  // of the rows of x that this thread loads
  [[unroll]] for (uint i = 0; i < STEP * TILE / 256; ++i) largest[i] = row_sum(b, m0 + (lane + 256 * i) / STEP).x;
  for (uint k0 = 0; k0 < n_k; k0 += STEP) {
    [[unroll]] for (uint i = 0; i < STEP * TILE / 256; ++i) {
      const uint at = lane + 256 * i, k = at % STEP, row = at / STEP;
      const bool is_inside = k0 + k < n_k;
      const uint x_row = x_begin + min(m0 + row, c.n_m - 1) * c.x_stride;
      x_tile[k][row] = is_inside ? x_values(x[x_row + k0 + k], largest[i]) : vec4(0);
      w_tile[k][row] = is_inside ? w[w_begin + min(n0 + row, c.n_n - 1) * c.w_stride + k0 + k] : vec4(0);
    }
    barrier();
    [[unroll]] for (uint k = 0; k < STEP; ++k) {
      vec4 columns[4];
      [[unroll]] for (uint n = 0; n < 4; ++n) columns[n] = w_tile[k][my_n + 16 * n];
      [[unroll]] for (uint m = 0; m < 4; ++m) {
        const vec4 row = x_tile[k][my_m + m];
        [[unroll]] for (uint n = 0; n < 4; ++n) sums[m][n] += dot(row, columns[n]);
      }
    }
    barrier();
  }
  prepare_stores(b);
  int distance[4];
  [[unroll]] for (uint n = 0; n < 4; ++n) distance[n] = first_distance(b, n0 + my_n + 16 * n);
  [[unroll]] for (uint m = 0; m < 4; ++m) {
    const float factor = row_sum(b, m0 + my_m + m).y;
    [[unroll]] for (uint n = 0; n < 4; ++n)
      store(m0 + my_m + m, n0 + my_n + 16 * n, sums[m][n] * factor, distance[n]);
  }
}
