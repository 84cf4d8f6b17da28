// Tensors as stored in a GGUF file: a type, a shape, bytes. engine/model fills them, the backends read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace headroom {

/// The values are GGUF's (ggml_type). Only these types are supported.
enum class TensorType : uint32_t {
#define HEADROOM_TENSOR_TYPE(id, name, number, ...) id = number,
#include "engine/base/tensor_types.def"
};

/// How a block stores its scales. d, dmin and m are f16.
enum class BlockScales {
  none,           // a float type
  scale,          // d first: value = d * (q - the middle of q)
  scale_and_min,  // d and m first: value = d * q + m
  packed,         // d and dmin first, then a 6-bit scale and minimum for each of 8 groups
  signed_bytes,   // after the values: a signed byte for each of 16 groups, then d
};

struct TypeTraits {
  TensorType type;
  std::string_view name;  // as in llama.cpp: "Q4_K"
  int32_t block_values;   // 1 for the float types
  int32_t block_bytes;
  int32_t bits;  // per stored value
  BlockScales scales;

  bool is_quantised() const { return scales != BlockScales::none; }
};

/// All types, in the order of tensor_types.def.
std::span<const TypeTraits> tensor_types();
/// "F32, F16 … or Q6_K"
std::string tensor_type_list();
/// nullptr for a number that is not a supported type.
const TypeTraits* find_type_traits(uint32_t ggml_type);
const TypeTraits& type_traits(TensorType type);

/// A matrix or a vector in a mapped file. Rows are contiguous: row r starts at data + r * row_bytes().
struct TensorView {
  std::string name;
  TensorType type = TensorType::f32;
  int64_t n_cols = 0;  // values per row: the inputs of a matrix product (GGUF's first dimension)
  int64_t n_rows = 1;  // 1 for a vector
  std::span<const std::byte> data;

  size_t row_bytes() const;
};

/// Bytes of one row of n_cols values; n_cols must be a multiple of the type's block.
size_t row_bytes(TensorType type, int64_t n_cols);

}  // namespace headroom
