// Fills a device's step buffer. See step_plan.h.
#include "engine/backend/device/step_plan.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

namespace headroom::device {
namespace {

static_assert(sizeof(StepHead) == 64 && sizeof(PageChange) == 16 && sizeof(StepState) <= sizeof(StepHead));
static_assert(part_special == Policy::special && part_punctuation == Policy::punctuation &&
              part_frequent == Policy::frequent && part_local == Policy::local && part_first == Policy::first &&
              part_full == Policy::full && n_sink_tokens == n_first_tokens &&
              class_special == static_cast<uint>(TokenClass::special) &&
              class_punctuation == static_cast<uint>(TokenClass::punctuation));

// Minimum size of a split: a smaller one costs more than it saves.
constexpr int64_t min_split_slots = 64;

int64_t in_pages(int64_t slots) {
  return (slots + page_tokens - 1) / page_tokens * page_tokens;
}

/// How the slots of one head and the step's token are cut.
struct HeadSplits {
  uint32_t n_splits;
  uint32_t split_slots;
};

HeadSplits cut(int64_t n_slots, int64_t wanted_slots) {
  const int64_t n_wanted = (n_slots + wanted_slots - 1) / wanted_slots;
  const int64_t even = in_pages((n_slots + n_wanted - 1) / n_wanted);
  return {static_cast<uint32_t>((n_slots + even - 1) / even), static_cast<uint32_t>(even)};
}

/// Slots per split in a layer that is cut into about wanted_splits. A work group has room for split_capacity at most.
int64_t split_slots_of(std::span<const HeadView> heads, int64_t wanted_splits) {
  int64_t n_slots = 0;
  for (const HeadView& head : heads) n_slots += head.length + 1;
  return std::clamp(in_pages((n_slots + wanted_splits - 1) / wanted_splits), min_split_slots,
                    static_cast<int64_t>(split_capacity));
}

std::span<const HeadView> layer_heads(const DecodeStep& step, int32_t layer) {
  return step.heads.subspan(static_cast<size_t>(layer * step.n_kv_heads), static_cast<size_t>(step.n_kv_heads));
}

uint at_least_0(int32_t n) {
  return static_cast<uint>(std::max(n, 0));
}

StepHead head_of(const HeadView& view, const KeepRule& rule) {
  StepHead head{};
  head.n_slots = static_cast<uint>(view.length);
  head.parts = rule.policy.parts;
  head.reach_from = at_least_0(rule.reach_from);
  head.local_from = at_least_0(rule.local_from);
  head.n_frequent = at_least_0(rule.n_frequent);
  head.n_total = rule.n_total;
  head.class_from = at_least_0(rule.class_from);
  return head;
}

}  // namespace

int64_t slots_of(const DecodeStep& step) {
  int64_t n_slots = 0;
  for (const HeadView& head : step.heads) n_slots += head.length + 1;
  return n_slots;
}

bool StepPlan::fit(const DecodeStep& step, int64_t wanted_splits) {
  constexpr uint32_t fewest_splits = 32;
  constexpr uint64_t fewest_slots = 16384;
  const StepPlan before = *this;
  const auto n = static_cast<int32_t>(step.heads.size());
  if (n != n_heads || step.n_kv_heads != n_kv_heads)
    *this = {.n_heads = n, .n_kv_heads = step.n_kv_heads, .n_layers = n / step.n_kv_heads};
  uint32_t most_splits = 0;
  for (int32_t layer = 0; layer < n_layers; ++layer) {
    const std::span<const HeadView> heads = layer_heads(step, layer);
    const int64_t split_slots = split_slots_of(heads, wanted_splits);
    uint32_t n_of_layer = 0;
    for (const HeadView& head : heads) n_of_layer += cut(head.length + 1, split_slots).n_splits;
    most_splits = std::max(most_splits, n_of_layer);
  }
  if (most_splits > n_splits) n_splits = std::max(std::bit_ceil(most_splits), fewest_splits);
  const auto all_slots = static_cast<uint64_t>(slots_of(step));
  if (static_cast<int64_t>(all_slots) > n_slots)
    n_slots = static_cast<int64_t>(std::max(std::bit_ceil(all_slots), fewest_slots));
  n_changes = (static_cast<uint32_t>(n_heads) + 63) / 64 * 64;  // one page per head
  return before.n_heads != n_heads || before.n_kv_heads != n_kv_heads || before.n_splits != n_splits ||
         before.n_slots != n_slots;
}

void StepPlan::fill(const DecodeStep& step, int64_t wanted_splits, uint32_t page_stride, std::byte* to) const {
  assert(step.rules.size() == step.heads.size());
  const StepState state{.position = static_cast<uint>(step.position),
                        .tag = make_tag(step.position, step.token_class),
                        .token_id = static_cast<uint>(step.token_id),
                        .log_before = static_cast<uint>(step.log_before),
                        .n_changes = 0};
  std::memcpy(to, &state, sizeof state);
  auto* heads = reinterpret_cast<StepHead*>(to);
  for (int32_t layer = 0; layer < n_layers; ++layer) {
    const std::span<const HeadView> views = layer_heads(step, layer);
    const int64_t split_slots = split_slots_of(views, wanted_splits);
    uint32_t next_split = 0;
    for (int32_t h = 0; h < n_kv_heads; ++h) {
      const auto i = static_cast<size_t>(layer * n_kv_heads + h);
      assert(static_cast<size_t>(step.heads[i].length) < step.heads[i].pages.size() * page_tokens);
      const HeadSplits splits = cut(step.heads[i].length + 1, split_slots);
      StepHead head = head_of(step.heads[i], step.rules[i]);
      head.first_page = static_cast<uint>(i) * page_stride;
      head.first_split = next_split;
      head.n_splits = splits.n_splits;
      head.split_slots = splits.split_slots;
      heads[head_begin(layer) + static_cast<uint32_t>(h)] = head;
      next_split += splits.n_splits;
    }
    const uint32_t counts[] = {next_split, 1, 1, 0};
    std::memcpy(to + counts_begin(layer), counts, sizeof counts);
  }
}

}  // namespace headroom::device
