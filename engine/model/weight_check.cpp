// Searches for NaN and infinities by their bits: all exponent bits are set. See weight_check.h.
#include "engine/model/weight_check.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "engine/model/refusal.h"

namespace headroom {
namespace {

constexpr uint32_t f32_exponent = 0x7f800000;
constexpr uint16_t f16_exponent = 0x7c00, bf16_exponent = 0x7f80;

template <typename Bits>
bool is_number(const std::byte* at, Bits exponent) {
  Bits bits;
  std::memcpy(&bits, at, sizeof(bits));
  return (bits & exponent) != exponent;
}

/// Byte offsets of the f16 scales in a block of a quantised type.
struct ScalePlaces {
  std::array<size_t, 2> offsets{};
  size_t n = 0;
};

ScalePlaces scale_places(const TypeTraits& traits) {
  switch (traits.scales) {
    case BlockScales::none:
      return {};
    case BlockScales::scale:
      return {{0}, 1};
    case BlockScales::scale_and_min:
    case BlockScales::packed:
      return {{0, 2}, 2};
    case BlockScales::signed_bytes:
      return {{static_cast<size_t>(traits.block_bytes) - 2}, 1};
  }
  return {};
}

/// Counts floats that are not numbers and sets `first` to the index of the first one.
template <typename Bits>
int64_t count_bad(std::span<const std::byte> bytes, Bits exponent, size_t& first) {
  int64_t n_bad = 0;
  const size_t n = bytes.size() / sizeof(Bits);
  for (size_t i = 0; i < n; ++i) n_bad += is_number(bytes.data() + i * sizeof(Bits), exponent) ? 0 : 1;
  for (first = 0; n_bad > 0 && is_number(bytes.data() + first * sizeof(Bits), exponent);) ++first;
  return n_bad;
}

int64_t count_bad_scales(std::span<const std::byte> bytes, size_t block_bytes, const ScalePlaces& places,
                         size_t& first_block) {
  int64_t n_bad = 0;
  for (size_t block = 0; block < bytes.size() / block_bytes; ++block)
    for (size_t i = 0; i < places.n; ++i) {
      if (is_number(bytes.data() + block * block_bytes + places.offsets[i], f16_exponent)) continue;
      if (n_bad++ == 0) first_block = block;
    }
  return n_bad;
}

}  // namespace

std::string sentence(const BadTensor& tensor) {
  return "tensor " + quoted(tensor.name) + ": " + std::to_string(tensor.n_bad) + " of " +
         std::to_string(tensor.n_checked) + (tensor.are_scales ? " block scales" : " values") +
         " are not numbers, the first in row " + std::to_string(tensor.first_row) + ", column " +
         std::to_string(tensor.first_column);
}

std::optional<BadTensor> find_not_numbers(const GgufFile::Tensor& tensor) {
  const TypeTraits* traits = find_type_traits(tensor.ggml_type);
  if (traits == nullptr || tensor.bytes.empty()) return std::nullopt;
  const auto block_bytes = static_cast<size_t>(traits->block_bytes);
  const auto type = static_cast<TensorType>(tensor.ggml_type);
  BadTensor found{.name = tensor.name, .n_checked = static_cast<int64_t>(tensor.bytes.size() / block_bytes)};
  size_t first = 0;  // value or block
  if (type == TensorType::f32)
    found.n_bad = count_bad(tensor.bytes, f32_exponent, first);
  else if (type == TensorType::f16 || type == TensorType::bf16)
    found.n_bad = count_bad(tensor.bytes, type == TensorType::f16 ? f16_exponent : bf16_exponent, first);
  else {
    const ScalePlaces places = scale_places(*traits);
    assert(places.n > 0);
    found.are_scales = true;
    found.n_checked *= static_cast<int64_t>(places.n);
    found.n_bad = count_bad_scales(tensor.bytes, block_bytes, places, first);
  }
  if (found.n_bad == 0) return std::nullopt;
  const int64_t value = static_cast<int64_t>(first) * traits->block_values;
  found.first_row = value / tensor.dims[0];
  found.first_column = value % tensor.dims[0];
  return found;
}

std::optional<BadTensor> find_bad_tensor(const GgufFile& file) {
  std::vector<const GgufFile::Tensor*> order;
  for (const GgufFile::Tensor& tensor : file.tensors()) order.push_back(&tensor);
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return a->bytes.size() < b->bytes.size(); });
  for (const GgufFile::Tensor* tensor : order)
    if (std::optional<BadTensor> found = find_not_numbers(*tensor)) return found;
  return std::nullopt;
}

std::vector<BadTensor> find_bad_tensors(const GgufFile& file) {
  std::vector<BadTensor> all;
  for (const GgufFile::Tensor& tensor : file.tensors())
    if (std::optional<BadTensor> found = find_not_numbers(tensor)) all.push_back(std::move(*found));
  return all;
}

}  // namespace headroom
