// The paged cache outside of a step: pages copied, heads put together, rows and scores handed out.
#include <cassert>
#include <cstring>

#include "engine/backend/vulkan/backend_state.h"
#include "engine/backend/vulkan/page_words.h"

namespace headroom::vulkan {
namespace {

constexpr int64_t group_size = 64;  // of the shaders

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

void VulkanBackend::assemble(const AssembleHead& args) {
  leave_step();
  const PageLayout layout = slabs_.layout();
  const size_t row_units = layout.slot_row_units(), row_words = slot_words(layout);
  assert(args.pages.size() == (args.slots.size() + page_tokens - 1) / page_tokens);
  assert(args.log_rows.size() % row_units == 0);
  begin_stage(Stage::assemble, 2.0 * static_cast<double>(layout.slot_bytes()) * static_cast<double>(args.slots.size()));
  if (args.slots.empty()) return;

  const size_t n_log = args.log_rows.size() / row_units;
  const size_t source_bytes = args.slots.size() * sizeof(SourceWords),
               page_bytes = args.pages.size() * sizeof(uint64_t);
  const UploadArena::Place place = uploads_.take(source_bytes + page_bytes + n_log * row_words * sizeof(uint32_t));
  auto* sources = reinterpret_cast<SourceWords*>(place.data());
  for (const SlotSource& slot : args.slots) {
    const auto index = static_cast<uint32_t>(slot.index);
    SourceWords source{.low = index << 2, .high = 0, .tag = slot.tag, .score = slot.score};
    switch (slot.kind) {
      case SlotSource::Kind::held: {
        assert(slot.index < args.from.length);
        const uint64_t address = slabs_.address(args.from.pages[index / page_tokens]);
        source.low = low_word(address) | index % page_tokens << 2 | source_held;
        source.high = high_word(address);
        break;
      }
      case SlotSource::Kind::scratch:
        assert(slot.index < args.kv.capacity_rows);
        source.low |= source_scratch;
        break;
      case SlotSource::Kind::log:
        assert(index < n_log);
        source.low |= source_log;
        break;
    }
    *sources++ = source;
  }
  auto* pages = reinterpret_cast<uint64_t*>(place.data() + source_bytes);
  for (const PageId page : args.pages) *pages++ = slabs_.address(page);
  auto* log = reinterpret_cast<uint32_t*>(pages);
  for (size_t i = 0; i < n_log; ++i) units_to_words(layout, &args.log_rows[i * row_units], log + i * row_words);

  const Buffer* turn = args.kv.buffer != nullptr ? &buffer_of(*args.kv.buffer) : nullptr;
  const uint64_t turn_address = turn != nullptr ? turn->address() : 0;
  const AssembleConstants constants{
      .n_slots = static_cast<uint>(args.slots.size()),
      .source_begin = static_cast<uint>(place.first / sizeof(SourceWords)),
      .page_begin = static_cast<uint>((place.first + source_bytes) / sizeof(uint64_t)),
      .log_begin = static_cast<uint>((place.first + source_bytes + page_bytes) / sizeof(uint32_t)),
      .kv_first = static_cast<uint>(args.kv_head * layout.head_dim),
      .kv_row_values = static_cast<uint>(args.kv.row_values),
      .kv_capacity_rows = static_cast<uint>(args.kv.capacity_rows),
      .kv_low = low_word(turn_address),
      .kv_high = high_word(turn_address)};
  queue_.dispatch(
      programs_.get(std::string("assemble.") + page_variant(layout), page_constants(layout, 0)),
      {static_cast<uint32_t>(args.pages.size()), 1, 1}, words(constants), {place.use(), place.use(), place.use()},
      cost_ms(8.0 * static_cast<double>(args.slots.size()) * layout.head_dim), Pages::written, {.buffer = turn});
}

void VulkanBackend::read_scores(HeadView head, std::span<float> out) {
  assert(out.size() == static_cast<size_t>(head.length));
  leave_step();
  begin_stage(Stage::read_cache, 2.0 * static_cast<double>(out.size_bytes()));
  if (out.empty()) return;
  if (info_.unified_memory) {
    queue_.finish();
    for (size_t slot = 0; slot < out.size(); slot += page_tokens)
      std::memcpy(&out[slot], slabs_.mapped(head.pages[slot / page_tokens]) + slabs_.layout().scores_offset(),
                  std::min<size_t>(page_tokens, out.size() - slot) * sizeof(float));
    return;
  }
  std::vector<int32_t> slots(out.size());
  for (size_t i = 0; i < slots.size(); ++i) slots[i] = static_cast<int32_t>(i);
  read_slots(head, slots, true, std::as_writable_bytes(out));
}

void VulkanBackend::read_rows(HeadView head, std::span<const int32_t> slots, std::span<uint16_t> out) {
  const PageLayout layout = slabs_.layout();
  const size_t row_units = layout.slot_row_units(), row_words = slot_words(layout);
  assert(out.size() == slots.size() * row_units);
  leave_step();
  begin_stage(Stage::read_cache, 2.0 * static_cast<double>(out.size_bytes()));
  if (slots.empty()) return;
  if (info_.unified_memory) {
    queue_.finish();
    for (size_t i = 0; i < slots.size(); ++i) {
      const auto slot = static_cast<size_t>(slots[i]);
      page_to_units(layout, slabs_.mapped(head.pages[slot / page_tokens]), slot % page_tokens, &out[i * row_units]);
    }
    return;
  }
  std::vector<uint32_t> rows(slots.size() * row_words);
  read_slots(head, slots, false, std::as_writable_bytes(std::span(rows)));
  for (size_t i = 0; i < slots.size(); ++i) words_to_units(layout, &rows[i * row_words], &out[i * row_units]);
}

/// Where the host does not see pages.
void VulkanBackend::read_slots(HeadView head, std::span<const int32_t> slots, bool is_scores,
                               std::span<std::byte> out) {
  const PageLayout layout = slabs_.layout();
  const UploadArena::Place place = uploads_.take(slots.size() * sizeof(uint64_t));
  auto* list = reinterpret_cast<uint64_t*>(place.data());
  for (const int32_t slot : slots)
    *list++ =
        slabs_.address(head.pages[static_cast<size_t>(slot / page_tokens)]) | static_cast<uint64_t>(slot % page_tokens);
  const Buffer& buffer = scratch("read slots", out.size());
  const ReadSlotsConstants constants{.n_slots = static_cast<uint>(slots.size()),
                                     .list_begin = static_cast<uint>(place.first / sizeof(uint64_t)),
                                     .is_scores = is_scores ? 1u : 0u};
  queue_.dispatch(programs_.get(std::string("read_slots.") + page_variant(layout), page_constants(layout, 0)),
                  {groups_for(static_cast<int64_t>(out.size() / sizeof(uint32_t)), group_size), 1, 1}, words(constants),
                  {place.use(), Use(buffer, 0, out.size())}, cost_ms(static_cast<double>(out.size())), Pages::read);
  queue_.download(buffer, 0, out);
}

}  // namespace headroom::vulkan
