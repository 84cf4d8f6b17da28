// The paged cache outside of a step: copies pages, gathers slots into new pages, returns rows and scores.
#include <cassert>
#include <cstring>

#include "engine/backend/device/gather_lists.h"
#include "engine/backend/device/slot_words.h"
#include "engine/backend/vulkan/backend_state.h"

namespace headroom::vulkan {
namespace {

constexpr int64_t group_size = 64;  // of the shaders

}  // namespace

void VulkanBackend::copy_page(PageId from, PageId to) {
  const size_t bytes = slabs_.layout().page_bytes();
  begin_stage(Stage::copy_page, 2.0 * static_cast<double>(bytes));
  const uint64_t source = slabs_.address(from), target = slabs_.address(to);
  const CopyPageConstants constants{.from_low = low_word(source),
                                    .from_high = high_word(source),
                                    .to_low = low_word(target),
                                    .to_high = high_word(target),
                                    .n_units = static_cast<uint>(bytes / 16)};
  queue_.dispatch(programs_.get("copy_page"), {groups_for(constants.n_units, group_size), 1, 1}, words(constants), {},
                  cost_ms(static_cast<double>(bytes)), Pages::written);
}

void VulkanBackend::gather_slots(std::span<const GatherHead> heads) {
  const PageLayout layout = slabs_.layout();
  const GatherLists lists(heads, layout);
  begin_stage(Stage::gather_slots, 2.0 * static_cast<double>(layout.slot_bytes()) * static_cast<double>(lists.n_slots));
  if (lists.n_slots == 0) return;
  const UploadArena::Place place = uploads_.take(lists.bytes());
  lists.fill(
      heads, layout, [&](PageId page) { return slabs_.address(page); }, place.data());
  queue_.count_up(lists.bytes());

  const KvScratch& kv = heads.front().kv;
  const Buffer* turn = kv.buffer != nullptr ? &buffer_of(*kv.buffer) : nullptr;
  const uint64_t turn_address = turn != nullptr ? turn->address() : 0;
  const GatherSlotsConstants constants{
      .source_begin = static_cast<uint>(place.first / sizeof(SlotSourceWords)),
      .page_begin = static_cast<uint>((place.first + lists.pages_begin()) / sizeof(uint32_t)),
      .log_begin = static_cast<uint>((place.first + lists.log_begin()) / sizeof(uint32_t)),
      .kv_row_values = static_cast<uint>(kv.row_values),
      .kv_capacity_rows = static_cast<uint>(kv.capacity_rows),
      .kv_low = low_word(turn_address),
      .kv_high = high_word(turn_address),
      .n_pages = static_cast<uint>(lists.n_pages)};
  const auto n_x = static_cast<uint32_t>(std::min<size_t>(lists.n_pages, device_.facts().max_groups));
  queue_.dispatch(programs_.get(std::string("gather_slots.") + page_variant(layout), page_constants(layout, 0)),
                  {n_x, groups_for(static_cast<int64_t>(lists.n_pages), n_x), 1}, words(constants),
                  {place.use(), place.use(), place.use()},
                  cost_ms(8.0 * static_cast<double>(lists.n_slots) * layout.head_dim), Pages::written,
                  {.buffer = turn});
}

void VulkanBackend::read_scores(std::span<const HeadView> heads, std::span<float> out) {
  begin_stage(Stage::read_cache, 2.0 * static_cast<double>(out.size_bytes()));
  if (out.empty()) return;
  if (info_.unified_memory) {
    queue_.finish();
    queue_.count_down(out.size_bytes());
    float* to = out.data();
    for (const HeadView& head : heads) {
      const auto length = static_cast<size_t>(head.length);
      for (size_t slot = 0; slot < length; slot += page_tokens)
        std::memcpy(to + slot, slabs_.mapped(head.pages[slot / page_tokens]) + slabs_.layout().scores_offset(),
                    std::min<size_t>(page_tokens, length - slot) * sizeof(float));
      to += length;
    }
    return;
  }
  std::vector<uint64_t> slots;
  slots.reserve(out.size());
  for (const HeadView& head : heads)
    for (size_t slot = 0; slot < static_cast<size_t>(head.length); ++slot) slots.push_back(slot_address(head, slot));
  assert(slots.size() == out.size());
  read_slots(slots, true, std::as_writable_bytes(out));
}

void VulkanBackend::read_rows(std::span<const HeadSlots> heads, std::span<uint16_t> out) {
  const PageLayout layout = slabs_.layout();
  const size_t row_u16s = layout.slot_row_u16s(), row_words = slot_words(layout);
  begin_stage(Stage::read_cache, 2.0 * static_cast<double>(out.size_bytes()));
  if (out.empty()) return;
  if (info_.unified_memory) {
    queue_.finish();
    queue_.count_down(out.size_bytes());
    uint16_t* to = out.data();
    for (const HeadSlots& of : heads)
      for (const int32_t slot : of.slots) {
        page_to_u16s(layout, slabs_.mapped(of.head.pages[static_cast<size_t>(slot / page_tokens)]),
                     static_cast<size_t>(slot % page_tokens), to);
        to += row_u16s;
      }
    return;
  }
  std::vector<uint64_t> slots;
  for (const HeadSlots& of : heads)
    for (const int32_t slot : of.slots) slots.push_back(slot_address(of.head, static_cast<size_t>(slot)));
  assert(out.size() == slots.size() * row_u16s);
  std::vector<uint32_t> rows(slots.size() * row_words);
  read_slots(slots, false, std::as_writable_bytes(std::span(rows)));
  for (size_t i = 0; i < slots.size(); ++i) words_to_u16s(layout, &rows[i * row_words], &out[i * row_u16s]);
}

void VulkanBackend::read_slots(std::span<const uint64_t> slots, bool is_scores, std::span<std::byte> out) {
  const PageLayout layout = slabs_.layout();
  const UploadArena::Place place = uploads_.take(slots.size_bytes());
  std::memcpy(place.data(), slots.data(), slots.size_bytes());
  queue_.count_up(slots.size_bytes());
  const Buffer& buffer = scratch("read slots", out.size());
  const ReadSlotsConstants constants{.n_slots = static_cast<uint>(slots.size()),
                                     .list_begin = static_cast<uint>(place.first / sizeof(uint64_t)),
                                     .is_scores = is_scores ? 1u : 0u};
  queue_.dispatch(programs_.get(std::string("read_slots.") + page_variant(layout), page_constants(layout, 0)),
                  {groups_for(static_cast<int64_t>(out.size() / sizeof(uint32_t)), group_size), 1, 1}, words(constants),
                  {place.use(), BufferUse(buffer, 0, out.size())}, cost_ms(static_cast<double>(out.size())),
                  Pages::read);
  queue_.download(buffer, 0, out);
}

}  // namespace headroom::vulkan
