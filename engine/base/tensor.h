// Tensors as a GGUF file holds them: a type, a shape, bytes. Filled by engine/model, read by the backends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace headroom {

/// The values are GGUF's (ggml_type). Only these types are read.
enum class TensorType : uint32_t {
#define HEADROOM_TENSOR_TYPE(id, name, number, ...) id = number,
#include "engine/base/tensor_types.def"
};

/// Where a block has its scales. d and m are f16.
enum class BlockScales {
  none,           // a float type
  scale,          // d first: value = d * (q - the middle of q)
  scale_and_min,  // d and m first: value = d * q + m
  packed,         // d and dmin first, then a 6-bit scale and minimum for each of 8 groups
  signed_bytes,   // a signed byte for each of 16 groups, then d at the end
};

struct TypeTraits {
  TensorType type;
  std::string_view name;  // as llama.cpp writes it: "Q4_K"
  int32_t block_values;   // 1 for the float types
  int32_t block_bytes;
  int32_t bits;  // of a stored value
  BlockScales scales;

  bool is_quantised() const { return scales != BlockScales::none; }
};

/// All of them, in the order of the list.
std::span<const TypeTraits> tensor_types();
/// "F32, F16 … or Q6_K"
std::string tensor_type_list();
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
