// The begin and the end of a step: all that the host knows goes to the device at once, and comes back at once.
#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "engine/backend/vulkan/backend_state.h"

namespace headroom::vulkan {
namespace {

static_assert(sizeof(StepHead) == 64 && sizeof(StepSplit) == 16 && sizeof(StepState) <= sizeof(StepHead));

// Slots that pay for a split.
constexpr int64_t min_split_slots = 64;

int64_t in_pages(int64_t slots) {
  return (slots + page_tokens - 1) / page_tokens * page_tokens;
}

/// Calls f with the first slot, the number of slots and whether it is the last, for each split of a head. The slots are
/// those of the head and the step's token.
template <typename F>
void for_splits(int64_t n_slots, int64_t split_slots, F f) {
  const int64_t n_splits = (n_slots + split_slots - 1) / split_slots;
  const int64_t even = in_pages((n_slots + n_splits - 1) / n_splits);
  for (int64_t first = 0; first < n_slots; first += even)
    f(first, std::min(even, n_slots - first), first + even >= n_slots);
}

/// No more than a work group has room for.
int64_t split_slots_of(std::span<const HeadView> heads, int64_t wanted_splits) {
  int64_t n_slots = 0;
  for (const HeadView& head : heads) n_slots += head.length + 1;
  return std::clamp(in_pages((n_slots + wanted_splits - 1) / wanted_splits), min_split_slots,
                    static_cast<int64_t>(split_capacity));
}

/// Heads of a layer.
std::span<const HeadView> layer_heads(const DecodeStep& step, int32_t layer) {
  return step.heads.subspan(static_cast<size_t>(layer * step.n_kv_heads), static_cast<size_t>(step.n_kv_heads));
}

/// Makes the plan's capacities large enough for a step.
void fit(StepPlan& plan, const DecodeStep& step, int64_t wanted_splits) {
  const auto n_heads = static_cast<int32_t>(step.heads.size());
  if (n_heads != plan.n_heads || step.n_kv_heads != plan.n_kv_heads)
    plan = {.n_heads = n_heads, .n_kv_heads = step.n_kv_heads, .n_layers = n_heads / step.n_kv_heads};
  uint32_t n_pages = 0, n_splits = 0;
  for (int32_t layer = 0; layer < plan.n_layers; ++layer) {
    const std::span<const HeadView> heads = layer_heads(step, layer);
    const int64_t split_slots = split_slots_of(heads, wanted_splits);
    uint32_t n = 0;
    for (const HeadView& head : heads) {
      for_splits(head.length + 1, split_slots, [&](int64_t, int64_t, bool) { ++n; });
      n_pages += static_cast<uint32_t>(head.pages.size());
    }
    n_splits = std::max(n_splits, n);
  }
  constexpr uint32_t fewest_splits = 32, fewest_pages = 1024;
  if (n_splits > plan.n_splits) plan.n_splits = std::max(std::bit_ceil(n_splits), fewest_splits);
  if (n_pages > plan.n_pages) plan.n_pages = std::max(std::bit_ceil(n_pages), fewest_pages);
  plan.bytes = static_cast<size_t>(plan.page_begin() + plan.n_pages) * sizeof(uint64_t);
}

}  // namespace

void VulkanBackend::begin_step(const DecodeStep& step) {
  assert(step.rules.size() == step.heads.size());
  release_prompt_scratch();
  queue_.set_repeating(true);
  queue_.finish(*step_host_);  // a step that was given up may still read it
  begin_stage(Stage::step_state, 0);
  // Splits of a layer that keep a device busy.
  const int64_t wanted_splits = is_lane() ? 16 : 256;
  fit(step_plan_, step, wanted_splits);
  reserve_step(std::bit_ceil(step_plan_.bytes));

  std::byte* to = step_host_->mapped();
  step_state() = {.position = static_cast<uint>(step.position),
                  .tag = make_tag(step.position, step.token_class),
                  .token_id = 0,
                  .log_before = static_cast<uint>(step.log_before)};
  auto* heads = reinterpret_cast<StepHead*>(to);
  auto* pages = reinterpret_cast<uint64_t*>(to);
  uint32_t next_page = step_plan_.page_begin();
  step_plan_.n_slots = 0;
  for (int32_t layer = 0; layer < step_plan_.n_layers; ++layer) {
    const int64_t split_slots = split_slots_of(layer_heads(step, layer), wanted_splits);
    auto* splits = reinterpret_cast<StepSplit*>(to) + step_plan_.split_begin(layer);
    uint32_t n_splits = 0;
    for (int32_t h = 0; h < step.n_kv_heads; ++h) {
      const auto head = static_cast<size_t>(layer * step.n_kv_heads + h);
      const HeadView& view = step.heads[head];
      const KeepRule& rule = step.rules[head];
      assert(static_cast<size_t>(view.length) < view.pages.size() * page_tokens);
      const uint32_t first_split = n_splits;
      for_splits(view.length + 1, split_slots, [&](int64_t first, int64_t n, bool is_last) {
        splits[n_splits++] = {.head = static_cast<uint>(h),
                              .first_slot = static_cast<uint>(first),
                              .n_slots = static_cast<uint>(n),
                              .is_last = is_last ? 1u : 0u};
      });
      heads[step_plan_.head_begin(layer) + static_cast<uint32_t>(h)] = {
          .n_slots = static_cast<uint>(view.length),
          .first_page = next_page - step_plan_.page_begin(),
          .first_split = first_split,
          .n_splits = n_splits - first_split,
          .parts = rule.policy.parts,
          .reach_from = static_cast<uint>(std::max(rule.reach_from, 0)),
          .local_from = static_cast<uint>(std::max(rule.local_from, 0)),
          .n_frequent = static_cast<uint>(std::max(rule.n_frequent, 0)),
          .n_total = rule.n_total,
          .class_from = static_cast<uint>(std::max(rule.class_from, 0)),
          .padding = {}};
      for (const PageId page : view.pages) pages[next_page++] = slabs_.address(page);
      step_plan_.n_slots += view.length + 1;
    }
    const uint32_t counts[] = {n_splits, 1, 1, 0};
    std::memcpy(to + step_plan_.counts_begin(layer), counts, sizeof counts);
  }
  step_plan_.is_appended.assign(static_cast<size_t>(step_plan_.n_layers), 0);
  step_plan_.is_evicted.assign(static_cast<size_t>(step_plan_.n_layers), 0);
  if (step_device_ != nullptr) queue_.copy({*step_host_, 0, step_plan_.bytes}, {*step_device_, 0, step_plan_.bytes});
  is_in_step_ = true;
}

/// What is asked for outside of a step ends one that was given up.
void VulkanBackend::leave_step() {
  if (!is_in_step_) return;
  is_in_step_ = false;
  queue_.set_repeating(false);
}

StepReport VulkanBackend::end_step() {
  is_in_step_ = false;
  std::vector<LeftSlot> left;
  std::vector<uint32_t> rows;
  bool has_more = collect_report(left, rows);
  queue_.set_repeating(false);
  while (has_more) {
    begin_stage(Stage::evict, 0);
    for (int32_t layer = 0; layer < step_plan_.n_layers; ++layer)
      if (step_plan_.is_evicted[static_cast<size_t>(layer)] != 0) dispatch_evict(layer, false);
    has_more = collect_report(left, rows);
  }
  return make_report(left, rows);
}

}  // namespace headroom::vulkan
