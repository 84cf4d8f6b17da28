// Combines the passes of a step's evictions into one report. See step_report.h.
#include "engine/backend/device/step_report.h"

#include <algorithm>

#include "engine/backend/device/slot_words.h"

namespace headroom::device {

static_assert(std::size(ReportedHead{}.slots) == n_reported_slots);

void ReportReader::add(std::span<const ReportedHead> heads, std::span<const uint8_t> is_evicted,
                       const RowWords& row_words) {
  has_more_ = false;
  const size_t n_kv_heads = heads.size() / is_evicted.size(), row_u16s = layout_.slot_row_u16s();
  for (size_t h = 0; h < heads.size(); ++h) {
    if (is_evicted[h / n_kv_heads] == 0) continue;
    has_more_ = has_more_ || heads[h].n_to_leave > 0;
    for (size_t i = 0; i < heads[h].n_left; ++i) {
      const ReportedSlot& slot = heads[h].slots[i];
      Left left{.eviction = {.head = static_cast<int32_t>(h),
                             .slot = static_cast<int32_t>(slot.slot),
                             .position = static_cast<int32_t>(slot.position),
                             .score = slot.score}};
      if (slot.is_logged != 0) {
        left.eviction.row = 0;  // finish() sets the index
        left.row = rows_.size();
        rows_.resize(rows_.size() + row_u16s);
        words_to_u16s(layout_, row_words(i * heads.size() + h), &rows_[left.row]);
      }
      left_.push_back(left);
    }
  }
}

StepReport ReportReader::finish() const {
  const size_t row_u16s = layout_.slot_row_u16s();
  // The list is in the order of passes, and by head within each pass; the report goes head by head.
  std::vector<Left> in_order = left_;
  std::stable_sort(in_order.begin(), in_order.end(),
                   [](const Left& a, const Left& b) { return a.eviction.head < b.eviction.head; });
  StepReport report;
  for (Left& left : in_order) {
    if (left.eviction.row == 0) {
      left.eviction.row = static_cast<int64_t>(report.rows.size() / row_u16s);
      const auto row = rows_.begin() + static_cast<std::ptrdiff_t>(left.row);
      report.rows.insert(report.rows.end(), row, row + static_cast<std::ptrdiff_t>(row_u16s));
    }
    report.evictions.push_back(left.eviction);
  }
  return report;
}

}  // namespace headroom::device
