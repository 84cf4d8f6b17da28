// Blocks of a tensor's file bytes ─► units and words of the planes.
//
//   type      unit(s)                                  words
//   f32       8: values                                -
//   f16 bf16  4: values                                -
//   q4_0      1: low nibbles 0 … 15, high 16 … 31      d
//   q4_1      as q4_0                                  d | m << 16
//   q5_0      as q4_0                                  d; bit j: fifth bit of value j
//   q5_1      as q4_0                                  d | m << 16; fifth bits
//   q8_0      2: signed bytes                          d
//   q4_k      as q4_0                                  scale | min << 8 | (d, or dmin in odd blocks) << 16
//   q5_k      as q4_0                                  the same; fifth bits
//   q6_k      as q4_0                                  scale 0 | scale 1 << 8 | d << 16; bits 2j: upper two of value j,
//                                                      values 0 … 15, then 16 … 31
#include "engine/backend/device/weight_blocks.h"

#include <algorithm>
#include <cstring>

#include "engine/base/error.h"

namespace headroom::device {
namespace {

uint32_t u16(const uint8_t* bytes) {
  return static_cast<uint32_t>(bytes[0] | bytes[1] << 8);
}

/// 32 values of 4 bits, value(j) as above.
template <typename Value>
void put_nibbles(BlockBits& to, Value value) {
  for (uint32_t j = 0; j < 16; ++j) to.units[j / 4] |= (value(j) | value(j + 16) << 4) << (j % 4 * 8);
}

void copy_units(BlockBits& to, const uint8_t* from, size_t bytes) {
  std::memcpy(to.units.data(), from, bytes);
}

void fifth_bits(uint32_t& to, const uint8_t* from) {
  std::memcpy(&to, from, sizeof to);
}

/// Scale and minimum of group g of a Q4_K or Q5_K block: 6 bits each, packed into 12 bytes.
uint32_t k_scales(const uint8_t* block, uint32_t g) {
  const uint8_t* packed = block + 4;
  uint32_t scale = 0, min = 0;
  if (g < 4) {
    scale = packed[g] & 63u;
    min = packed[g + 4] & 63u;
  } else {
    scale = (packed[g + 4] & 15u) | (packed[g - 4] >> 6u) << 4;
    min = (packed[g + 4] >> 4u) | (packed[g] >> 6u) << 4;
  }
  return scale | min << 8 | u16(block + (g % 2 == 0 ? 0 : 2)) << 16;
}

uint32_t k_nibble(const uint8_t* nibbles, uint32_t g, uint32_t j) {
  const uint32_t byte = nibbles[32 * (g / 2) + j];
  return g % 2 == 0 ? byte & 15u : byte >> 4;
}

/// Units of a block of 32 values: four low bits of each, or all bits from eight on.
constexpr uint32_t n_units_of(int32_t bits) {
  return bits < 8 ? 1 : static_cast<uint32_t>(bits) / 4;
}

/// Words of a block: scales, and the bits above the fourth.
constexpr uint32_t n_words_of(int32_t bits, BlockScales scales) {
  if (scales == BlockScales::none) return 0;
  return bits < 8 ? 1 + static_cast<uint32_t>(bits) - 4 : 1;
}

}  // namespace

BlockBits take_block(TensorType type, const uint8_t* row, int64_t n_cols, int64_t b) {
  BlockBits to;
  const TypeTraits& traits = type_traits(type);
  const uint8_t* block = row + b * 32 / traits.block_values * traits.block_bytes;
  const auto g = static_cast<uint32_t>(b % 8);  // in a block of 256
  switch (type) {
    case TensorType::f32:
    case TensorType::f16:
    case TensorType::bf16:
      copy_units(to, row + b * 32 * traits.block_bytes,
                 static_cast<size_t>(std::min<int64_t>(32, n_cols - b * 32) * traits.block_bytes));
      break;
    case TensorType::q4_0:
      to.words[0] = u16(block);
      copy_units(to, block + 2, 16);
      break;
    case TensorType::q4_1:
      std::memcpy(&to.words[0], block, 4);
      copy_units(to, block + 4, 16);
      break;
    case TensorType::q5_0:
      to.words[0] = u16(block);
      fifth_bits(to.words[1], block + 2);
      copy_units(to, block + 6, 16);
      break;
    case TensorType::q5_1:
      std::memcpy(&to.words[0], block, 4);
      fifth_bits(to.words[1], block + 4);
      copy_units(to, block + 8, 16);
      break;
    case TensorType::q8_0:
      to.words[0] = u16(block);
      copy_units(to, block + 2, 32);
      break;
    case TensorType::q4_k:
      to.words[0] = k_scales(block, g);
      put_nibbles(to, [&](uint32_t j) { return k_nibble(block + 16, g, j); });
      break;
    case TensorType::q5_k:
      to.words[0] = k_scales(block, g);
      for (uint32_t j = 0; j < 32; ++j) to.words[1] |= (block[16 + j] >> g & 1u) << j;
      put_nibbles(to, [&](uint32_t j) { return k_nibble(block + 48, g, j); });
      break;
    case TensorType::q6_k: {
      const uint32_t part = g / 4, in_part = g % 4;
      const uint8_t* low = block + 64 * part + 32 * (in_part % 2);
      const uint8_t* high = block + 128 + 32 * part;
      to.words[0] = block[192 + 2 * g] | static_cast<uint32_t>(block[193 + 2 * g]) << 8 | u16(block + 208) << 16;
      for (uint32_t j = 0; j < 32; ++j) to.words[1 + j / 16] |= (high[j] >> (2 * in_part) & 3u) << (j % 16 * 2);
      put_nibbles(to, [&](uint32_t j) { return in_part < 2 ? low[j] & 15u : static_cast<uint32_t>(low[j] >> 4); });
      break;
    }
  }
  return to;
}

const WeightFormat& weight_format(TensorType type) {
  switch (type) {
#define HEADROOM_TENSOR_TYPE(id, name, number, values, bytes, bits, scales)                             \
  case TensorType::id: {                                                                                \
    static constexpr WeightFormat format{#id, n_units_of(bits), n_words_of(bits, BlockScales::scales)}; \
    return format;                                                                                      \
  }
#include "engine/base/tensor_types.def"
  }
  throw Error(ErrorKind::unsupported, "a tensor has a type that no GPU backend knows");
}

}  // namespace headroom::device
