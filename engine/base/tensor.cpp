// The table of tensor types: names and block sizes as GGUF defines them.
#include "engine/base/tensor.h"

#include <cassert>

namespace headroom {

const TypeTraits* find_type_traits(uint32_t ggml_type) {
  static constexpr TypeTraits f32{"F32", 1, 4}, f16{"F16", 1, 2}, bf16{"BF16", 1, 2};
  static constexpr TypeTraits q4_0{"Q4_0", 32, 18}, q4_1{"Q4_1", 32, 20}, q5_0{"Q5_0", 32, 22};
  static constexpr TypeTraits q5_1{"Q5_1", 32, 24}, q8_0{"Q8_0", 32, 34};
  static constexpr TypeTraits q4_k{"Q4_K", 256, 144}, q5_k{"Q5_K", 256, 176}, q6_k{"Q6_K", 256, 210};
  switch (static_cast<TensorType>(ggml_type)) {
    case TensorType::f32:
      return &f32;
    case TensorType::f16:
      return &f16;
    case TensorType::bf16:
      return &bf16;
    case TensorType::q4_0:
      return &q4_0;
    case TensorType::q4_1:
      return &q4_1;
    case TensorType::q5_0:
      return &q5_0;
    case TensorType::q5_1:
      return &q5_1;
    case TensorType::q8_0:
      return &q8_0;
    case TensorType::q4_k:
      return &q4_k;
    case TensorType::q5_k:
      return &q5_k;
    case TensorType::q6_k:
      return &q6_k;
  }
  return nullptr;
}

const TypeTraits& type_traits(TensorType type) {
  const TypeTraits* traits = find_type_traits(static_cast<uint32_t>(type));
  assert(traits != nullptr);
  return *traits;
}

size_t row_bytes(TensorType type, int64_t n_cols) {
  const TypeTraits& traits = type_traits(type);
  assert(n_cols % traits.block_values == 0);
  return static_cast<size_t>(n_cols / traits.block_values) * static_cast<size_t>(traits.block_bytes);
}

size_t TensorView::row_bytes() const {
  return headroom::row_bytes(type, n_cols);
}

}  // namespace headroom
