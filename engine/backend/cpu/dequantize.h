// Rows of a weight tensor, in any of GGUF's formats, to f32: embedding lookups and the oracle of the matrix product.
// The product itself (matmul.h) reads the formats without this detour.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/tensor.h"

namespace headroom {

/// Writes one row as f32. Serves every TensorType; the bytes need no alignment.
void dequantize_row(TensorType type,
                    const std::byte* row,  // row_bytes(type, n_cols) bytes
                    int64_t n_cols,        // a multiple of the type's block
                    float* out);           // (n_cols)

}  // namespace headroom
