// Weights as a GPU reads them. A row is cut into blocks of 32 values, whose bits lie in two planes: units of 16 bytes
// with the values' low bits, and words with scales, minima and high bits. The bits are those of the file in another
// order (table in weight_blocks.cpp). The backend decides where in a plane each block lies.
#pragma once

#include <array>
#include <cstdint>

#include "engine/base/tensor.h"

namespace headroom::device {

/// What one block of 32 values of a tensor type occupies in the planes.
struct WeightFormat {
  const char* shader;  // variant of the kernels that read it: "q4_1"
  uint32_t n_units;    // of 16 bytes
  uint32_t n_words;    // of 4 bytes
};

const WeightFormat& weight_format(TensorType type);

/// One block of 32 values, repacked.
struct BlockBits {
  std::array<uint32_t, 32> units{};  // 4 per unit
  std::array<uint32_t, 3> words{};
};

/// Repacks block b of a row.  row: the row's bytes in the file
BlockBits take_block(TensorType type, const uint8_t* row, int64_t n_cols, int64_t b);

}  // namespace headroom::device
