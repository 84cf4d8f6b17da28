// The paged cache outside of a step: pages copied, slots gathered into new pages, rows and scores handed out.
#include <cassert>
#include <cstring>

#include "engine/backend/vulkan/backend_state.h"
#include "engine/backend/vulkan/page_words.h"

namespace headroom::vulkan {
namespace {

constexpr int64_t group_size = 64;  // of the shaders

/// What the lists of a gather hold.
struct GatherSize {
  size_t n_slots = 0, n_pages = 0, n_log = 0;

  void add(const GatherHead& head, const PageLayout& layout) {
    n_slots += head.slots.size();
    n_pages += head.pages.size();
    n_log += head.log_rows.size() / layout.slot_row_u16s();
  }
};

}  // namespace

void VulkanBackend::copy_page(PageId from, PageId to) {
  leave_step();
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

/// The new pages of some heads, of which the host knows every slot's source, by one dispatch.
void VulkanBackend::gather_slots(std::span<const GatherHead> heads) {
  leave_step();
  const PageLayout layout = slabs_.layout();
  const size_t row_words = slot_words(layout);
  GatherSize size;
  for (const GatherHead& head : heads) {
    assert(head.pages.size() == (head.slots.size() + page_tokens - 1) / page_tokens);
    assert(head.log_rows.size() % layout.slot_row_u16s() == 0);
    assert(head.kv.buffer == nullptr || heads.front().kv.buffer == nullptr ||
           head.kv.buffer == heads.front().kv.buffer);
    size.add(head, layout);
  }
  begin_stage(Stage::gather_slots, 2.0 * static_cast<double>(layout.slot_bytes()) * static_cast<double>(size.n_slots));
  if (size.n_slots == 0) return;

  const size_t source_bytes = size.n_slots * sizeof(SlotSourceWords), page_bytes = size.n_pages * sizeof(GatherPage);
  const UploadArena::Place place = uploads_.take(source_bytes + page_bytes + size.n_log * row_words * sizeof(uint32_t));
  auto* sources = reinterpret_cast<SlotSourceWords*>(place.data());
  auto* pages = reinterpret_cast<GatherPage*>(place.data() + source_bytes);
  auto* log = reinterpret_cast<uint32_t*>(place.data() + source_bytes + page_bytes);
  uint32_t first_source = 0, first_log = 0;
  for (const GatherHead& head : heads) {
    for (const SlotSource& slot : head.slots) *sources++ = source_words(head, slot, first_log);
    for (size_t i = 0; i < head.pages.size(); ++i) {
      const uint64_t address = slabs_.address(head.pages[i]);
      *pages++ = {.low = low_word(address),
                  .high = high_word(address),
                  .first_source = first_source + static_cast<uint>(i * page_tokens),
                  .n_slots = static_cast<uint>(std::min<size_t>(head.slots.size() - i * page_tokens, page_tokens)),
                  .kv_first = static_cast<uint>(head.kv_head * layout.head_dim)};
    }
    const size_t row_u16s = layout.slot_row_u16s(), n_log = head.log_rows.size() / row_u16s;
    for (size_t i = 0; i < n_log; ++i, log += row_words) u16s_to_words(layout, &head.log_rows[i * row_u16s], log);
    first_source += static_cast<uint32_t>(head.slots.size());
    first_log += static_cast<uint32_t>(n_log);
  }

  const KvScratch& kv = heads.front().kv;
  const Buffer* turn = kv.buffer != nullptr ? &buffer_of(*kv.buffer) : nullptr;
  const uint64_t turn_address = turn != nullptr ? turn->address() : 0;
  const GatherSlotsConstants constants{
      .source_begin = static_cast<uint>(place.first / sizeof(SlotSourceWords)),
      .page_begin = static_cast<uint>((place.first + source_bytes) / sizeof(uint32_t)),
      .log_begin = static_cast<uint>((place.first + source_bytes + page_bytes) / sizeof(uint32_t)),
      .kv_row_values = static_cast<uint>(kv.row_values),
      .kv_capacity_rows = static_cast<uint>(kv.capacity_rows),
      .kv_low = low_word(turn_address),
      .kv_high = high_word(turn_address),
      .n_pages = static_cast<uint>(size.n_pages)};
  const auto n_x = static_cast<uint32_t>(std::min<size_t>(size.n_pages, device_.facts().max_groups));
  queue_.dispatch(programs_.get(std::string("gather_slots.") + page_variant(layout), page_constants(layout, 0)),
                  {n_x, groups_for(static_cast<int64_t>(size.n_pages), n_x), 1}, words(constants),
                  {place.use(), place.use(), place.use()},
                  cost_ms(8.0 * static_cast<double>(size.n_slots) * layout.head_dim), Pages::written, {.buffer = turn});
}

/// first_log: rows of the log that other heads have before this one's.
SlotSourceWords VulkanBackend::source_words(const GatherHead& head, const SlotSource& slot, uint32_t first_log) const {
  const auto index = static_cast<uint32_t>(slot.index);
  SlotSourceWords source{.low = 0, .high = 0, .tag = slot.tag, .score = slot.score};
  switch (slot.kind) {
    case SlotSource::Kind::held: {
      assert(slot.index < head.from.length);
      const uint64_t address = slabs_.address(head.from.pages[index / page_tokens]);
      source.low = low_word(address) | index % page_tokens << 2 | source_held;
      source.high = high_word(address);
      break;
    }
    case SlotSource::Kind::scratch:
      assert(slot.index < head.kv.capacity_rows);
      source.low = index << 2 | source_scratch;
      break;
    case SlotSource::Kind::log:
      assert(index < head.log_rows.size() / slabs_.layout().slot_row_u16s());
      source.low = (first_log + index) << 2 | source_log;
      break;
  }
  return source;
}

void VulkanBackend::read_scores(std::span<const HeadView> heads, std::span<float> out) {
  leave_step();
  begin_stage(Stage::read_cache, 2.0 * static_cast<double>(out.size_bytes()));
  if (out.empty()) return;
  if (info_.unified_memory) {
    queue_.finish();
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
  leave_step();
  begin_stage(Stage::read_cache, 2.0 * static_cast<double>(out.size_bytes()));
  if (out.empty()) return;
  if (info_.unified_memory) {
    queue_.finish();
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
