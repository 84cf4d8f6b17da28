// The formats of GGUF's tensors, block by block, as scalar code that reads like the format's definition.
// w = d * q + m: d is the block's scale, m its minimum (or the minus of q's middle).
#include "engine/backend/cpu/dequantize.h"

#include <cassert>
#include <cstring>

#include "engine/backend/cpu/half.h"

namespace headroom {
namespace {

float read_f16(const uint8_t* bytes) {
  uint16_t half;
  std::memcpy(&half, bytes, sizeof half);
  return half_to_float(half);
}

uint32_t read_u32(const uint8_t* bytes) {
  uint32_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// Scale and minimum of 32-value group g (0 … 7) of a Q4_K or Q5_K block: 6 bits each, packed into 12 bytes.
struct ScaleAndMin {
  int scale;
  int min;
};
ScaleAndMin read_scale_and_min(const uint8_t* packed, int g) {
  if (g < 4) return {packed[g] & 63, packed[g + 4] & 63};
  return {(packed[g + 4] & 15) | (packed[g - 4] >> 6 << 4), (packed[g + 4] >> 4) | (packed[g] >> 6 << 4)};
}

void f32_block(const uint8_t* block, float* out) {
  std::memcpy(out, block, sizeof *out);
}

void f16_block(const uint8_t* block, float* out) {
  *out = read_f16(block);
}

void bf16_block(const uint8_t* block, float* out) {
  uint16_t upper;
  std::memcpy(&upper, block, sizeof upper);
  const uint32_t bits = static_cast<uint32_t>(upper) << 16;
  std::memcpy(out, &bits, sizeof bits);
}

// d (f16), 16 bytes: value j in the low half of byte j, value j + 16 in the high half.
void q4_0_block(const uint8_t* block, float* out) {
  const float d = read_f16(block);
  for (int j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>((block[2 + j] & 15) - 8);
    out[j + 16] = d * static_cast<float>((block[2 + j] >> 4) - 8);
  }
}

// d, m (f16), 16 bytes as above.
void q4_1_block(const uint8_t* block, float* out) {
  const float d = read_f16(block), m = read_f16(block + 2);
  for (int j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>(block[4 + j] & 15) + m;
    out[j + 16] = d * static_cast<float>(block[4 + j] >> 4) + m;
  }
}

// d (f16), the values' fifth bits (u32), 16 bytes as above.
void q5_0_block(const uint8_t* block, float* out) {
  const float d = read_f16(block);
  const uint32_t high = read_u32(block + 2);
  for (uint32_t j = 0; j < 16; ++j) {
    const uint32_t low_byte = block[6 + j];
    out[j] = d * static_cast<float>(static_cast<int>((low_byte & 15) | (high >> j & 1) << 4) - 16);
    out[j + 16] = d * static_cast<float>(static_cast<int>(low_byte >> 4 | (high >> (j + 16) & 1) << 4) - 16);
  }
}

// d, m (f16), the values' fifth bits (u32), 16 bytes as above.
void q5_1_block(const uint8_t* block, float* out) {
  const float d = read_f16(block), m = read_f16(block + 2);
  const uint32_t high = read_u32(block + 4);
  for (uint32_t j = 0; j < 16; ++j) {
    const uint32_t low_byte = block[8 + j];
    out[j] = d * static_cast<float>((low_byte & 15) | (high >> j & 1) << 4) + m;
    out[j + 16] = d * static_cast<float>(low_byte >> 4 | (high >> (j + 16) & 1) << 4) + m;
  }
}

// d (f16), 32 signed bytes.
void q8_0_block(const uint8_t* block, float* out) {
  const float d = read_f16(block);
  for (int j = 0; j < 32; ++j) out[j] = d * static_cast<float>(static_cast<int8_t>(block[2 + j]));
}

// d, dmin (f16), 12 bytes of scales and minima, 128 bytes: 32 of them hold a group in the low halves, the next group
// in the high halves.
void q4_k_block(const uint8_t* block, float* out) {
  const float d = read_f16(block), dmin = read_f16(block + 2);
  for (int g = 0; g < 8; ++g) {
    const ScaleAndMin packed = read_scale_and_min(block + 4, g);
    const float scale = d * static_cast<float>(packed.scale), min = dmin * static_cast<float>(packed.min);
    const uint8_t* q = block + 16 + 32 * (g / 2);
    for (int j = 0; j < 32; ++j) {
      out[32 * g + j] = scale * static_cast<float>(g % 2 == 0 ? q[j] & 15 : q[j] >> 4) - min;
    }
  }
}

// As Q4_K, with 32 bytes of fifth bits before the halves: bit g of byte j belongs to value j of group g.
void q5_k_block(const uint8_t* block, float* out) {
  const float d = read_f16(block), dmin = read_f16(block + 2);
  for (int g = 0; g < 8; ++g) {
    const ScaleAndMin packed = read_scale_and_min(block + 4, g);
    const float scale = d * static_cast<float>(packed.scale), min = dmin * static_cast<float>(packed.min);
    const uint8_t* high = block + 16;
    const uint8_t* q = block + 48 + 32 * (g / 2);
    for (int j = 0; j < 32; ++j) {
      const int low_bits = g % 2 == 0 ? q[j] & 15 : q[j] >> 4;
      out[32 * g + j] = scale * static_cast<float>(low_bits | (high[j] >> g & 1) << 4) - min;
    }
  }
}

// 128 bytes of low halves, 64 of upper two bits, 16 signed scales of 16 values each, d (f16). Each 128 values: groups
// 0 and 1 in the low halves of 64 bytes, groups 2 and 3 in their high halves; bits 2g of byte j are value j of group g.
void q6_k_block(const uint8_t* block, float* out) {
  const float d = read_f16(block + 208);
  for (int g = 0; g < 8; ++g) {
    const int part = g / 4, in_part = g % 4;
    const uint8_t* low = block + 64 * part + 32 * (in_part % 2);
    const uint8_t* high = block + 128 + 32 * part;
    for (int j = 0; j < 32; ++j) {
      const int low_bits = in_part < 2 ? low[j] & 15 : low[j] >> 4;
      const int q = (low_bits | (high[j] >> (2 * in_part) & 3) << 4) - 32;
      const int scale = static_cast<int8_t>(block[192 + 2 * g + j / 16]);
      out[32 * g + j] = d * static_cast<float>(scale) * static_cast<float>(q);
    }
  }
}

template <void block_to_f32(const uint8_t*, float*), int block_values, int block_bytes>
void blocks(const uint8_t* row, int64_t n_cols, float* out) {
  for (int64_t b = 0; b < n_cols / block_values; ++b) block_to_f32(row + b * block_bytes, out + b * block_values);
}

}  // namespace

void dequantize_row(TensorType type, const std::byte* row_data, int64_t n_cols, float* out) {
  assert(n_cols % type_traits(type).block_values == 0);
  const uint8_t* row = reinterpret_cast<const uint8_t*>(row_data);
  switch (type) {
#define HEADROOM_TENSOR_TYPE(id, name, number, values, bytes, ...) \
  case TensorType::id:                                             \
    return blocks<id##_block, values, bytes>(row, n_cols, out);
#include "engine/base/tensor_types.def"
  }
}

}  // namespace headroom
