// Expected attention of some columns from K, V and the product of K with the quadratic part: one thread per column of a
// query head.
#version 460
#extension GL_GOOGLE_include_directive : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x = 32) in;
layout(push_constant) uniform Constants { ExpectedLogitsConstants c; };
layout(binding = 0) readonly buffer Heads { uint heads[]; };
layout(binding = 1) uniform textureBuffer keys;      // (KV head, column, value)
layout(binding = 2) uniform textureBuffer v_values;  // (KV head, column, value)
layout(binding = 3) uniform textureBuffer products;  // (query head, column, value)
layout(binding = 4) uniform textureBuffer linear;    // (query head, value)
layout(binding = 5) writeonly buffer Logits { float logits[]; };
layout(binding = 6) writeonly buffer Norms { float norms[]; };

void main() {
  const uint column = gl_GlobalInvocationID.x, head = gl_WorkGroupID.y, kv_head = head / c.group;
  if (column >= c.n_columns || (c.is_held != 0 && c.first + column >= heads[2 * kv_head])) return;
  const uint texels = (c.head_dim + 3) / 4, columns = (c.n_columns + 3) / 4 * 4;
  const int key = int((kv_head * columns + column) * texels);
  const int product = int((head * columns + column) * texels);
  vec4 sum = vec4(0);
  for (int i = 0; i < int(texels); ++i) {
    // Products behind the last value were never written.
    const bvec4 is_value = lessThan(ivec4(4 * i) + ivec4(0, 1, 2, 3), ivec4(c.head_dim));
    const vec4 found = mix(vec4(0), texelFetch(products, product + i), is_value);
    sum += texelFetch(keys, key + i) * (found + texelFetch(linear, int(head * texels) + i));
  }
  logits[c.logits_offset + head * c.logits_stride + c.column + column] = (sum.x + sum.y) + (sum.z + sum.w);
  if (head % c.group != 0) return;
  vec4 squares = vec4(0);
  for (int i = 0; i < int(texels); ++i) {
    const vec4 v = texelFetch(v_values, key + i);
    squares += v * v;
  }
  norms[c.norms_offset + kv_head * c.norms_stride + c.column + column] =
      sqrt((squares.x + squares.y) + (squares.z + squares.w));
}
