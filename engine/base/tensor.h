// Tensors as a GGUF file holds them: a type, a shape, bytes. Filled by engine/model, read by the backends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace headroom {

/// The values are GGUF's (ggml_type). Only the types below are read.
enum class TensorType : uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  bf16 = 30,
};

/// Values in a block and bytes of a block; {1, size} for the float types.
struct TypeTraits {
  std::string_view name;  // as llama.cpp writes it: "Q4_K"
  int32_t block_values;
  int32_t block_bytes;
};

/// nullptr for a number that is none of the supported types.
const TypeTraits* find_type_traits(uint32_t ggml_type);
const TypeTraits& type_traits(TensorType type);

/// A matrix or a vector inside a mapped file. Rows are contiguous: row r starts at data + r * row_bytes().
struct TensorView {
  std::string name;
  TensorType type = TensorType::f32;
  int64_t n_cols = 0;  // values in a row: the inputs of a matrix product (GGUF's first dimension)
  int64_t n_rows = 1;  // 1 for a vector
  std::span<const std::byte> data;

  size_t row_bytes() const;
};

/// Bytes of one row of n_cols values; n_cols must be a multiple of the type's block.
size_t row_bytes(TensorType type, int64_t n_cols);

}  // namespace headroom
