// Weights in the device's memory. A row is cut into blocks of 32 values. A block lies in two planes, so that a shader
// reads whole words: units of 16 bytes hold the values' low bits; words hold scales, minima and high bits. The bits are
// those of the file, in other places (weight_blocks.cpp has the table).
#pragma once

#include <memory>
#include <vector>

#include "engine/backend/device/weight_blocks.h"
#include "engine/backend/vulkan/memory.h"

namespace headroom::vulkan {

using namespace device;

class VulkanWeight final : public DeviceWeight {
 public:
  struct Part {
    int64_t first_row = 0;
    int64_t n_rows = 0;
    std::unique_ptr<Buffer> units;
    std::unique_ptr<Buffer> words;
  };

  /// is_by_rows: neighbouring units belong to neighbouring rows (one row per lane); otherwise to one row.
  VulkanWeight(const TensorView& view, bool is_by_rows) : DeviceWeight(view), is_by_rows_(is_by_rows) {}

  /// Blocks per row. A row is padded with zeros to whole blocks.
  uint32_t n_blocks() const { return static_cast<uint32_t>((view().n_cols + 31) / 32); }
  /// Where unit u of row r lies: u * unit_stride + r * row_stride; words likewise.
  uint32_t unit_stride(const Part& part) const { return is_by_rows_ ? static_cast<uint32_t>(part.n_rows) : 1; }
  uint32_t unit_row_stride() const { return is_by_rows_ ? 1 : n_blocks() * weight_format(view().type).n_units; }
  uint32_t word_row_stride() const { return is_by_rows_ ? 1 : n_blocks() * weight_format(view().type).n_words; }

  std::vector<Part> parts;
  std::unique_ptr<Buffer> values;  // of an F32 vector, which has no parts

 private:
  bool is_by_rows_;
};

inline const VulkanWeight& weight_of(const DeviceWeight& weight) {
  return static_cast<const VulkanWeight&>(weight);
}

/// Values of an F32 vector.
const Buffer& vector_of(const DeviceWeight& weight);

}  // namespace headroom::vulkan
