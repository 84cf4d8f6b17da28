// y = x * weight^T (+ bias) (+ y) for many rows of x: a work group computes 64 rows of the weight for 64 rows of x, a
// block of 32 inputs at a time. The weights of a block are unpacked once, into shared memory, for all of its tokens:
// to floats, or with HAS_DOT to bytes for an x of 16 bits.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x = 256) in;
layout(push_constant) uniform Constants { MatmulConstants c; };
layout(binding = 0) readonly buffer Units { uvec4 units[]; };
layout(binding = 1) readonly buffer Words { uint plane_words[]; };
#ifdef HAS_DOT
layout(binding = 2) readonly buffer X { uvec4 x[]; };  // blocks of quantize_rows.comp
#else
layout(binding = 2) readonly buffer X { vec4 x[]; };
#endif
layout(binding = 3) readonly buffer Bias { float bias[]; };
layout(binding = 4) buffer Y { float y[]; };

#define UNIT(i) units[i]
#define WORD(i) plane_words[i]
#include "shaders/weights.glsl"

const uint TILE = 64;
float sums[4][4];  // (row, token), per invocation

// Each branch defines: loading a row of the weight into the tile; loading texel i of a token's block into the tile, and
// the number of such texels; and the products of four rows with four tokens of the tile.
#ifdef HAS_DOT
#include "shaders/integer_dot.glsl"

const uint X_TEXELS = x_block_texels;
// Words of four bytes. Rows of tokens are TILE + 1 apart, so that the words of a texel use different banks.
shared uint row_tile[8][TILE];
shared vec2 row_factors[N_SCALES][TILE];  // scale, offset
shared uint token_tile[16][TILE + 1];     // upper bytes, lower bytes
shared vec4 token_factors[TILE];

void put_row(uint row, Block block) {
  [[unroll]] for (uint i = 0; i < 8; ++i) row_tile[i][row] = block_bytes(block, i);
  [[unroll]] for (uint s = 0; s < N_SCALES; ++s) row_factors[s][row] = vec2(block.scale[s], block.offset[s]);
}

void put_texel(uint token, uint i, uvec4 texel) {
  if (i == 4) {
    token_factors[token] = uintBitsToFloat(texel);
  } else {
    [[unroll]] for (uint k = 0; k < 4; ++k) token_tile[4 * i + k][token] = texel[k];
  }
}

void add_products(uint rows[4], uint tokens[4]) {
  [[unroll]] for (uint s = 0; s < N_SCALES; ++s) {
    int high[4][4], low[4][4];
    [[unroll]] for (uint r = 0; r < 4; ++r) {
      [[unroll]] for (uint t = 0; t < 4; ++t) high[r][t] = low[r][t] = 0;
    }
    for (uint i = s * 8 / N_SCALES; i < (s + 1) * 8 / N_SCALES; ++i) {
      uint q[4];
      [[unroll]] for (uint r = 0; r < 4; ++r) q[r] = row_tile[i][rows[r]];
      [[unroll]] for (uint t = 0; t < 4; ++t) {
        const uint upper = token_tile[i][tokens[t]], lower = token_tile[8 + i][tokens[t]];
        [[unroll]] for (uint r = 0; r < 4; ++r) {
          high[r][t] += dot_bytes(q[r], upper);
          low[r][t] += dot_bytes(q[r], lower);
        }
      }
    }
    [[unroll]] for (uint t = 0; t < 4; ++t) {
      const vec4 factors = token_factors[tokens[t]];
      [[unroll]] for (uint r = 0; r < 4; ++r) {
        const vec2 scale_offset = row_factors[s][rows[r]];
        sums[r][t] += scaled_product(high[r][t], low[r][t], factors, scale_offset.x, scale_offset.y, s);
      }
    }
  }
}
#else
const uint X_TEXELS = 8;
// Texels of a row are TILE + 1 apart, so that lanes which write the texels of one row use different banks.
shared vec4 row_tile[8][TILE + 1];
shared vec4 token_tile[8][TILE + 1];

void put_row(uint row, Block block) {
  [[unroll]] for (uint i = 0; i < 8; ++i) row_tile[i][row] = block_values(block, i);
}

void put_texel(uint token, uint i, vec4 texel) {
  token_tile[i][token] = texel;
}

void add_products(uint rows[4], uint tokens[4]) {
  for (uint i = 0; i < 8; ++i) {
    vec4 weights[4];
    [[unroll]] for (uint r = 0; r < 4; ++r) weights[r] = row_tile[i][rows[r]];
    [[unroll]] for (uint t = 0; t < 4; ++t) {
      const vec4 values = token_tile[i][tokens[t]];
      [[unroll]] for (uint r = 0; r < 4; ++r) sums[r][t] += dot(weights[r], values);
    }
  }
}
#endif

void main() {
  const uint row0 = gl_WorkGroupID.x * TILE, token0 = gl_WorkGroupID.y * TILE, lane = gl_LocalInvocationID.x;
  uint my_rows[4], my_tokens[4];
  [[unroll]] for (uint k = 0; k < 4; ++k) {
    // Neighbouring lanes process neighbouring rows, so they use different banks and write adjacent values of y.
    my_rows[k] = lane % 16 + 16 * k;
    my_tokens[k] = lane / 16 * 4 + k;
  }
  [[unroll]] for (uint r = 0; r < 4; ++r) {
    [[unroll]] for (uint t = 0; t < 4; ++t) sums[r][t] = 0;
  }
  const uint n_blocks = (c.n_in + 31) / 32;
  for (uint b = 0; b < n_blocks; ++b) {
    // A quarter of the lanes unpack one row each; the others fetch the tokens.
    if (lane < TILE) {
      const uint row = min(row0 + lane, c.n_out - 1);
      put_row(lane, load_block(row * c.unit_row_stride, row * c.word_row_stride, b));
    } else {
      for (uint i = lane - TILE; i < X_TEXELS * TILE; i += 256 - TILE) {
        const uint token = min(token0 + i / X_TEXELS, c.n_tokens - 1);
        put_texel(i / X_TEXELS, i % X_TEXELS, x[c.x_offset + token * c.x_stride + b * X_TEXELS + i % X_TEXELS]);
      }
    }
    barrier();
    add_products(my_rows, my_tokens);
    barrier();
  }
  [[unroll]] for (uint r = 0; r < 4; ++r) {
    [[unroll]] for (uint t = 0; t < 4; ++t) {
      const uint row = row0 + my_rows[r], token = token0 + my_tokens[t];
      if (row >= c.n_out || token >= c.n_tokens) continue;
      const uint at = c.y_offset + token * c.y_stride + row;
      float sum = sums[r][t];
      if ((c.flags & matmul_has_bias) != 0) sum += bias[c.bias_first + row];
      if ((c.flags & matmul_accumulates) != 0) sum += y[at];
      y[at] = sum;
    }
  }
}
