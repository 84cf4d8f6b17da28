// Chooses the slots to evict, on the device. step.cpp reads its report.
#include "engine/backend/device/slot_words.h"
#include "engine/backend/vulkan/backend_state.h"

namespace headroom::vulkan {

void VulkanBackend::evict(int32_t layer) {
  begin_stage(Stage::evict, 0);
  recorded_step_->is_evicted[static_cast<size_t>(layer)] = 1;
  dispatch_evict(*recorded_step_, layer, true);
}

void VulkanBackend::dispatch_evict(const VulkanStep& step, int32_t layer, bool is_first_pass) {
  const PageLayout layout = slabs_.layout();
  const auto n_heads = static_cast<size_t>(step.plan.n_heads), n_of_layer = static_cast<size_t>(step.plan.n_kv_heads);
  const size_t first_head = static_cast<size_t>(layer) * n_of_layer;
  const Buffer& report = scratch("step report", n_heads * sizeof(ReportedHead));
  const Buffer& rows = scratch("step rows", n_heads * n_reported_slots * slot_words(layout) * sizeof(uint32_t));
  const EvictConstants constants{.head_begin = step.plan.head_begin(layer),
                                 .first_head = static_cast<uint>(first_head),
                                 .n_heads = static_cast<uint>(n_heads),
                                 .is_appended = step.is_appended[static_cast<size_t>(layer)],
                                 .is_first_pass = is_first_pass ? 1u : 0u};
  const uint32_t n_lanes = device_.facts().subgroup_size;
  queue_.dispatch(
      programs_.get(std::string("evict.") + page_variant(layout), page_constants(layout, n_lanes), required_subgroup()),
      {static_cast<uint32_t>(n_of_layer), 1, 1}, words(constants),
      {step_use(), step_list_use(), *table_buffer_, BufferUse(report), BufferUse(rows)},
      cost_ms(20.0 * step.plan.slots_of_layer()), Pages::written);
}

}  // namespace headroom::vulkan
