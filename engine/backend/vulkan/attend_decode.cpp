// One token's attention: attends in splits of equal size for heads of any length, then merges the splits.
#include <cassert>

#include "engine/backend/device/slot_words.h"
#include "engine/backend/vulkan/backend_state.h"

namespace headroom::vulkan {
namespace {

// Query heads per work group: their probabilities fill its shared memory.
constexpr int32_t max_group = 8;
constexpr float log2_e = 1.44269504088896f;

}  // namespace

void VulkanBackend::attend_decode(int32_t layer, Matrix q, Matrix k, Matrix v, float scale, Matrix out) {
  const PageLayout layout = slabs_.layout();
  const StepPlan& plan = recorded_step_->plan;
  const int32_t head_dim = layout.head_dim, group = q.n_cols / (plan.n_kv_heads * head_dim);
  assert(q.n_cols == group * plan.n_kv_heads * head_dim && out.n_cols == q.n_cols);
  assert(k.n_cols == plan.n_kv_heads * head_dim && v.n_cols == k.n_cols);
  begin_stage(Stage::attend_decode, 0);
  recorded_step_->is_appended[static_cast<size_t>(layer)] = 1;
  // Query heads per dispatch: divides their number.
  int32_t at_once = std::min(group, max_group);
  while (group % at_once != 0) --at_once;

  const size_t n_states = static_cast<size_t>(plan.n_splits) * static_cast<size_t>(group);
  const BufferUse probabilities = scratch("attend probabilities", n_states * split_capacity * sizeof(float));
  const BufferUse states = scratch("attend states", n_states * static_cast<size_t>(head_dim + 2) * sizeof(float));
  const BufferUse lists = step_list_use();
  const uint32_t n_lanes = device_.facts().subgroup_size;
  AttendDecodeConstants constants{.q_offset = static_cast<uint>(q.offset),
                                  .k_offset = static_cast<uint>(k.offset),
                                  .v_offset = static_cast<uint>(v.offset),
                                  .scale = scale * log2_e,
                                  .head_begin = plan.head_begin(layer),
                                  .n_kv_heads = static_cast<uint>(plan.n_kv_heads),
                                  .first_query_head = 0,
                                  .n_query_heads = static_cast<uint>(group)};
  std::vector<uint32_t> special = page_constants(layout, n_lanes);
  special.push_back(static_cast<uint32_t>(at_once));
  special.push_back(is_lane() ? 1 : 0);
  const double cost = cost_ms(6.0 * plan.slots_of_layer() * head_dim * group);
  std::string name = std::string("attend_decode.") + page_variant(layout);
  if (is_lane() && device_.facts().has_int64) name += ".int64";
  const Program& program = programs_.get(name, special, required_subgroup());
  const BufferUse counts{step_buffer(), plan.counts_begin(layer), 12};
  for (int32_t first = 0; first < group; first += at_once) {
    constants.first_query_head = static_cast<uint>(first);
    queue_.dispatch_indirect(program, counts, words(constants),
                             {step_use(), lists, *table_buffer_, as_texels(use_of(q), VK_FORMAT_R32_SFLOAT), use_of(k),
                              use_of(v), probabilities, states},
                             cost * at_once / group, Pages::written);
  }

  begin_stage(Stage::merge_decode, static_cast<double>(n_states) * 4 * (head_dim + 2));
  const MergeDecodeConstants merge{.out_offset = static_cast<uint>(out.offset),
                                   .head_begin = constants.head_begin,
                                   .n_kv_heads = constants.n_kv_heads};
  const uint32_t merge_special[] = {n_lanes, static_cast<uint32_t>(head_dim), special[5], static_cast<uint32_t>(group)};
  queue_.dispatch_indirect(programs_.get("merge_decode", merge_special, required_subgroup()), counts, words(merge),
                           {lists, *table_buffer_, probabilities, states, use_of(out)}, cost / 8, Pages::written);
}

}  // namespace headroom::vulkan
