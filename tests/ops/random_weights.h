// Rows of any type of tensor with random bits and sensible scales, for tests of products and tables.
#pragma once

#include <cstring>
#include <random>
#include <vector>

#include "engine/base/tensor.h"

namespace headroom::test {

inline const std::vector<TensorType> all_tensor_types = [] {
  std::vector<TensorType> types;
  for (const TypeTraits& traits : tensor_types()) types.push_back(traits.type);
  return types;
}();

/// Random bytes with scales of a sensible size, now and then a scale of zero, a negative one, a subnormal one.
inline std::vector<std::byte> random_weights(TensorType type, int64_t n_out, int64_t n_in, std::mt19937& random) {
  const TypeTraits& traits = type_traits(type);
  std::vector<std::byte> bytes(static_cast<size_t>(n_out) * row_bytes(type, n_in));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  auto put = [&](size_t offset, const auto& value) { std::memcpy(bytes.data() + offset, &value, sizeof value); };
  for (size_t block = 0; block < bytes.size(); block += static_cast<size_t>(traits.block_bytes)) {
    const uint32_t kind = random() % 16;
    // 2^-9 … 2^-5, either sign
    uint16_t half = static_cast<uint16_t>((random() & 0x8000u) | (0x1800u + (random() & 0x0fffu)));
    if (kind == 0) half = 0;
    if (kind == 1) half = static_cast<uint16_t>(random() & 0x3ffu);
    const uint16_t min = static_cast<uint16_t>((random() & 0x8000u) | (0x1c00u + (random() & 0x0fffu)));
    if (type == TensorType::f32)
      put(block, static_cast<float>(static_cast<int32_t>(random())) * 1e-11f);
    else if (type == TensorType::bf16)
      put(block, static_cast<uint16_t>((random() & 0x8000u) | (0x3b00u + random() % 256)));
    else if (traits.scales == BlockScales::signed_bytes)
      put(block + static_cast<size_t>(traits.block_bytes) - 2, half);
    else
      put(block, half);
    if (traits.scales == BlockScales::scale_and_min || traits.scales == BlockScales::packed) put(block + 2, min);
  }
  return bytes;
}

}  // namespace headroom::test
