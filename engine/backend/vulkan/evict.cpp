// Who leaves, decided on the device; what it reports becomes the step's report.
#include <algorithm>
#include <cassert>

#include "engine/backend/vulkan/backend_state.h"
#include "engine/backend/vulkan/page_words.h"

namespace headroom::vulkan {

static_assert(std::size(ReportedHead{}.slots) == n_reported_slots);

void VulkanBackend::evict(int32_t layer) {
  begin_stage(Stage::evict, 8.0 * static_cast<double>(step_plan_.n_slots) / step_plan_.n_layers);
  step_plan_.is_evicted[static_cast<size_t>(layer)] = 1;
  dispatch_evict(layer, true);
}

void VulkanBackend::dispatch_evict(int32_t layer, bool is_first_pass) {
  const PageLayout layout = slabs_.layout();
  const auto n_heads = static_cast<size_t>(step_plan_.n_heads), n_of_layer = static_cast<size_t>(step_plan_.n_kv_heads);
  const size_t first_head = static_cast<size_t>(layer) * n_of_layer;
  const size_t row_bytes = n_reported_slots * slot_words(layout) * sizeof(uint32_t);
  const Buffer& report = scratch("step report", n_heads * sizeof(ReportedHead));
  const Buffer& rows = scratch("step rows", n_heads * row_bytes);
  const EvictConstants constants{.head_begin = step_plan_.head_begin(layer),
                                 .page_begin = step_plan_.page_begin(),
                                 .first_head = static_cast<uint>(first_head),
                                 .is_appended = step_plan_.is_appended[static_cast<size_t>(layer)],
                                 .is_first_pass = is_first_pass ? 1u : 0u};
  const uint32_t n_lanes = device_.facts().subgroup_size;
  queue_.dispatch(
      programs_.get(std::string("evict.") + page_variant(layout), page_constants(layout, n_lanes), required_subgroup()),
      {static_cast<uint32_t>(n_of_layer), 1, 1}, words(constants),
      {step_use(), step_list_use(), step_list_use(),
       BufferUse(report, first_head * sizeof(ReportedHead), n_of_layer * sizeof(ReportedHead)),
       BufferUse(rows, first_head * row_bytes, n_of_layer * row_bytes)},
      cost_ms(20.0 * step_plan_.typical_slots()), Pages::written);
}

bool VulkanBackend::collect_report(std::vector<LeftSlot>& left, std::vector<uint32_t>& rows) {
  const auto n_heads = static_cast<size_t>(step_plan_.n_heads);
  if (std::find(step_plan_.is_evicted.begin(), step_plan_.is_evicted.end(), 1) == step_plan_.is_evicted.end()) {
    queue_.finish();
    return false;
  }
  const PageLayout layout = slabs_.layout();
  const size_t row_words = slot_words(layout);
  std::vector<ReportedHead> heads(n_heads);
  queue_.download(scratch("step report", 0), 0, std::as_writable_bytes(std::span(heads)));
  std::vector<uint32_t> found_rows;  // of all heads; read when the first is needed
  bool has_more = false;
  for (size_t h = 0; h < n_heads; ++h) {
    if (step_plan_.is_evicted[h / static_cast<size_t>(step_plan_.n_kv_heads)] == 0) continue;
    has_more = has_more || heads[h].n_to_leave > 0;
    for (size_t i = 0; i < heads[h].n_left; ++i) {
      const ReportedSlot& slot = heads[h].slots[i];
      LeftSlot entry{.eviction = {.head = static_cast<int32_t>(h),
                                  .slot = static_cast<int32_t>(slot.slot),
                                  .position = static_cast<int32_t>(slot.position),
                                  .score = slot.score}};
      if (slot.is_logged != 0) {
        if (found_rows.empty()) {
          found_rows.resize(n_heads * n_reported_slots * row_words);
          queue_.download(scratch("step rows", 0), 0, std::as_writable_bytes(std::span(found_rows)));
        }
        const auto row = found_rows.begin() + static_cast<std::ptrdiff_t>((h * n_reported_slots + i) * row_words);
        entry.eviction.row = 0;  // its number follows when all are there
        entry.row = rows.size();
        rows.insert(rows.end(), row, row + static_cast<std::ptrdiff_t>(row_words));
      }
      left.push_back(entry);
    }
  }
  return has_more;
}

StepReport VulkanBackend::make_report(std::vector<LeftSlot>& left, const std::vector<uint32_t>& rows) const {
  const PageLayout layout = slabs_.layout();
  const size_t row_u16s = layout.slot_row_u16s();
  // Passes came one after the other, each in the order of heads.
  std::stable_sort(left.begin(), left.end(),
                   [](const LeftSlot& a, const LeftSlot& b) { return a.eviction.head < b.eviction.head; });
  StepReport report;
  for (LeftSlot& slot : left) {
    if (slot.eviction.row == 0) {
      const size_t first = report.rows.size();
      slot.eviction.row = static_cast<int64_t>(first / row_u16s);
      report.rows.resize(first + row_u16s);
      words_to_u16s(layout, &rows[slot.row], &report.rows[first]);
    }
    report.evictions.push_back(slot.eviction);
  }
  return report;
}

}  // namespace headroom::vulkan
