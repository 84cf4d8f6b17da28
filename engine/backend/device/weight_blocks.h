// Weights as a GPU reads them: a row is cut into blocks of 32 values, whose bits lie in two planes: units of 16 bytes,
// with the values' low bits, and words with scales, minima and high bits. The bits are the file's, moved to other
// places (weight_blocks.cpp has the table). Where a plane has which block is the backend's business.
#pragma once

#include <array>
#include <cstdint>

#include "engine/base/tensor.h"

namespace headroom::device {

/// How a type of tensor lies in the planes, a block of 32 values.
struct WeightFormat {
  const char* shader;  // variant of the kernels that read it: "q4_1"
  uint32_t n_units;    // of 16 bytes
  uint32_t n_words;    // of 4 bytes beside them
};

const WeightFormat& weight_format(TensorType type);

/// One block of 32 values on its way.
struct BlockBits {
  std::array<uint32_t, 32> units{};  // 4 for each unit
  std::array<uint32_t, 3> words{};
};

/// Block b of a row, from the file's bytes of the row.
BlockBits take_block(TensorType type, const uint8_t* row, int64_t n_cols, int64_t b);

}  // namespace headroom::device
