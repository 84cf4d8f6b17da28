// Rows of x to 16 bits, for products with quantised weights by dot products of bytes: 32 values are d * (256 * high +
// low), both signed bytes. Eight bits alone would change the attention in a profile by up to 0.02.
// One thread per four values, eight threads per block.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Constants { QuantizeRowsConstants c; };
layout(binding = 0) readonly buffer X { float x[]; };
// (n_rows, n_cols / 32, x_block_texels) texels of four words
layout(binding = 1) writeonly buffer Out { uint result[]; };

shared uint largest_of[64];  // of each thread's values, as bits of the magnitude
shared int sum_of[64];

uint packed(ivec4 bytes) {
  const uvec4 bits = uvec4(bytes) & 255u;
  return bits.x | bits.y << 8 | bits.z << 16 | bits.w << 24;
}

void main() {
  const uint column = 4 * gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
  const uint lane = gl_LocalInvocationID.x, first = lane / 8 * 8;  // of the block
  vec4 values = vec4(0);
  if (column < c.n_cols) {
    const uint at = c.x_offset + row * c.x_stride + column;
    values = vec4(x[at], x[at + 1], x[at + 2], x[at + 3]);
  }
  // Compared as integers, so that a value that is not a number is the largest.
  const uvec4 magnitudes = floatBitsToUint(values) & 0x7fffffffu;
  largest_of[lane] = max(max(magnitudes.x, magnitudes.y), max(magnitudes.z, magnitudes.w));
  barrier();
  uint largest_bits = 0;
  [[unroll]] for (uint k = 0; k < 8; ++k) largest_bits = max(largest_bits, largest_of[first + k]);
  const float largest = uintBitsToFloat(largest_bits);

  // The largest 16-bit value whose upper byte does not round up to 128.
  const float steps = 32512;
  float d = 0;
  ivec4 q = ivec4(0);
  if (largest_bits >= 0x7f800000u) {
    d = uintBitsToFloat(0x7fc00000u);  // makes the row's products not a number
  } else if (largest >= 1e-30) {       // for much smaller values, 1 / d would be infinite
    d = largest / steps;
    q = ivec4(roundEven(values * (steps / largest)));
  }
  const ivec4 high = q + 128 >> 8, low = q - 256 * high;
  sum_of[lane] = q.x + q.y + q.z + q.w;
  barrier();
  if (column >= c.n_cols) return;
  const uint block = (row * (c.n_cols / 32) + column / 32) * 4 * x_block_texels, i = lane - first;
  result[block + i] = packed(high);
  result[block + 8 + i] = packed(low);
  if (i < 4) {
    // d, and d times the sum of the first half, of the second, of both
    int sum = 0;
    [[unroll]] for (uint k = 0; k < 8; ++k) sum += i == 3 || k / 4 + 1 == i ? sum_of[first + k] : 0;
    result[block + 16 + i] = floatBitsToUint(i == 0 ? d : d * float(sum));
  }
}
