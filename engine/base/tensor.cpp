// The tensor types as values, and sizes computed from them. See tensor.h and tensor_types.def.
#include "engine/base/tensor.h"

#include <algorithm>
#include <cassert>
#include <iterator>

namespace headroom {

namespace {

constexpr TypeTraits tensor_type_rows[] = {
#define HEADROOM_TENSOR_TYPE(id, name, number, values, bytes, bits, scales) \
  {TensorType::id, #name, values, bytes, bits, BlockScales::scales},
#include "engine/base/tensor_types.def"
};

}  // namespace

std::span<const TypeTraits> tensor_types() {
  return tensor_type_rows;
}

std::string tensor_type_list() {
  std::string list;
  for (const TypeTraits& traits : tensor_type_rows) {
    if (!list.empty()) list += &traits == std::end(tensor_type_rows) - 1 ? " or " : ", ";
    list += traits.name;
  }
  return list;
}

const TypeTraits* find_type_traits(uint32_t ggml_type) {
  const auto* found =
      std::find_if(std::begin(tensor_type_rows), std::end(tensor_type_rows),
                   [&](const TypeTraits& traits) { return static_cast<uint32_t>(traits.type) == ggml_type; });
  return found == std::end(tensor_type_rows) ? nullptr : found;
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
