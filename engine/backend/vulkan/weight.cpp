// A tensor of the file ─► planes in the device's memory.
#include "engine/backend/vulkan/weight.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "engine/backend/vulkan/backend_state.h"

namespace headroom::vulkan {
namespace {

/// The rows of one part, in both planes.
void repack(const VulkanWeight& weight, const VulkanWeight::Part& part, std::span<uint32_t> units,
            std::span<uint32_t> words) {
  const TensorView& view = weight.view();
  const WeightFormat& format = weight_format(view.type);
  const size_t unit_stride = weight.unit_stride(part);
  for (int64_t r = 0; r < part.n_rows; ++r) {
    const auto* row =
        reinterpret_cast<const uint8_t*>(view.data.data()) + static_cast<size_t>(part.first_row + r) * view.row_bytes();
    const size_t unit_row = static_cast<size_t>(r) * weight.unit_row_stride();
    const size_t word_row = static_cast<size_t>(r) * weight.word_row_stride();
    for (uint32_t b = 0; b < weight.n_blocks(); ++b) {
      const BlockBits block = take_block(view.type, row, view.n_cols, b);
      for (size_t u = 0; u < format.n_units; ++u)
        std::copy_n(&block.units[4 * u], 4, &units[4 * ((b * format.n_units + u) * unit_stride + unit_row)]);
      for (size_t w = 0; w < format.n_words; ++w)
        words[(b * format.n_words + w) * unit_stride + word_row] = block.words[w];
    }
  }
}

}  // namespace

const Buffer& vector_of(const DeviceWeight& weight) {
  assert(weight.view().type == TensorType::f32 && weight.view().n_rows == 1);
  return *weight_of(weight).values;
}

std::unique_ptr<DeviceWeight> VulkanBackend::load_weight(const TensorView& view) {
  auto weight = std::make_unique<VulkanWeight>(view, is_lane());
  if (view.n_rows == 1 && view.type == TensorType::f32) {
    weight->values = memory_.allocate(view.data.size(), MemoryUse::weight);
    queue_.upload(*weight->values, 0, view.data);
  }
  const WeightFormat& format = weight_format(view.type);
  const size_t row_unit_bytes = size_t{weight->n_blocks()} * format.n_units * 16;
  const size_t row_words = size_t{weight->n_blocks()} * format.n_words * 4;
  const DeviceFacts& facts = device_.facts();
  // The lane variant reads units as texels, and a view shows at most max_texels.
  const uint64_t viewed = is_lane() ? facts.max_texels * 16 : ~uint64_t{0};
  const size_t largest = std::min({facts.max_storage_range, facts.max_allocation_bytes, viewed, uint64_t{1} << 30});
  const auto rows_per_part = static_cast<int64_t>(largest / std::max(row_unit_bytes, row_words));
  if (rows_per_part == 0)
    throw Error(ErrorKind::unsupported, "a row of the tensor " + view.name + " is larger than what the Vulkan device " +
                                            "binds at once (" + std::to_string(largest) + " bytes)");
  for (int64_t first = 0; first < view.n_rows; first += rows_per_part) {
    VulkanWeight::Part part{
        .first_row = first, .n_rows = std::min(rows_per_part, view.n_rows - first), .units = {}, .words = {}};
    const size_t unit_bytes = row_unit_bytes * static_cast<size_t>(part.n_rows);
    const size_t word_bytes = row_words * static_cast<size_t>(part.n_rows);
    part.units = memory_.allocate(unit_bytes, MemoryUse::weight);
    part.words = memory_.allocate(std::max<size_t>(word_bytes, 4), MemoryUse::weight);
    const auto as_words = [](std::byte* bytes, size_t n) {
      return std::span(reinterpret_cast<uint32_t*>(bytes), n / 4);
    };
    if (part.units->mapped() != nullptr) {
      repack(*weight, part, as_words(part.units->mapped(), unit_bytes), as_words(part.words->mapped(), word_bytes));
    } else {
      std::vector<uint32_t> units(unit_bytes / 4), rest(word_bytes / 4);
      repack(*weight, part, units, rest);
      queue_.upload(*part.units, 0, std::as_bytes(std::span(units)));
      queue_.upload(*part.words, 0, std::as_bytes(std::span(rest)));
      queue_.submit();
    }
    weight->parts.push_back(std::move(part));
  }
  return weight;
}

}  // namespace headroom::vulkan
