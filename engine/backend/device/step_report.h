// A device's reports of evictions ─► StepReport. A pass reports a few slots of each head; more passes follow while a
// head has more to evict.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/device/kernel_params.h"

namespace headroom::device {

class ReportReader {
 public:
  explicit ReportReader(PageLayout layout) : layout_(layout) {}

  /// Words of a logged row by its number: slot of the report * n_heads + head.
  using RowWords = std::function<const uint32_t*(size_t row)>;
  /// Adds the report of one pass.  is_evicted: per layer, 1 if its heads are in the report
  void add(std::span<const ReportedHead> heads, std::span<const uint8_t> is_evicted, const RowWords& row_words);
  /// True if a head had more to evict after the last pass.
  bool has_more() const { return has_more_; }
  /// All evictions, head by head in the order in which they happened.
  StepReport finish() const;

 private:
  struct Left {
    Eviction eviction;
    size_t row = 0;  // of rows_, if it is logged
  };

  PageLayout layout_;
  std::vector<Left> left_;
  std::vector<uint16_t> rows_;
  bool has_more_ = false;
};

}  // namespace headroom::device
