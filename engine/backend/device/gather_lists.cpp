// Lists for gather_slots. See gather_lists.h.
#include "engine/backend/device/gather_lists.h"

#include <algorithm>
#include <cassert>

#include "engine/backend/device/slot_words.h"

namespace headroom::device {
namespace {

/// first_log: rows of the log that other heads have before this one's.
SlotSourceWords source_words(const GatherHead& head, const SlotSource& slot, uint32_t first_log,
                             const std::function<uint64_t(PageId)>& address_of) {
  const auto index = static_cast<uint32_t>(slot.index);
  SlotSourceWords source{.low = 0, .high = 0, .tag = slot.tag, .score = slot.score};
  switch (slot.kind) {
    case SlotSource::Kind::held: {
      assert(slot.index < head.from.length);
      const uint64_t address = address_of(head.from.pages[index / page_tokens]);
      source.low = static_cast<uint32_t>(address) | index % page_tokens << 2 | source_held;
      source.high = static_cast<uint32_t>(address >> 32);
      break;
    }
    case SlotSource::Kind::scratch:
      assert(slot.index < head.kv.capacity_rows);
      source.low = index << 2 | source_scratch;
      break;
    case SlotSource::Kind::log:
      source.low = (first_log + index) << 2 | source_log;
      break;
  }
  return source;
}

}  // namespace

GatherLists::GatherLists(std::span<const GatherHead> heads, const PageLayout& layout)
    : log_row_bytes(slot_words(layout) * sizeof(uint32_t)) {
  for (const GatherHead& head : heads) {
    assert(head.pages.size() == (head.slots.size() + page_tokens - 1) / page_tokens);
    assert(head.log_rows.size() % layout.slot_row_u16s() == 0);
    // One call has one scratch.
    assert(head.kv.buffer == heads.front().kv.buffer);
    n_slots += head.slots.size();
    n_pages += head.pages.size();
    n_log += head.log_rows.size() / layout.slot_row_u16s();
  }
}

void GatherLists::fill(std::span<const GatherHead> heads, const PageLayout& layout,
                       const std::function<uint64_t(PageId)>& address_of, std::byte* to) const {
  auto* sources = reinterpret_cast<SlotSourceWords*>(to);
  auto* pages = reinterpret_cast<GatherPage*>(to + pages_begin());
  auto* log = reinterpret_cast<uint32_t*>(to + log_begin());
  const size_t row_u16s = layout.slot_row_u16s();
  uint32_t first_source = 0, first_log = 0;
  for (const GatherHead& head : heads) {
    for (const SlotSource& slot : head.slots) *sources++ = source_words(head, slot, first_log, address_of);
    for (size_t i = 0; i < head.pages.size(); ++i) {
      const uint64_t address = address_of(head.pages[i]);
      *pages++ = {.low = static_cast<uint>(address),
                  .high = static_cast<uint>(address >> 32),
                  .first_source = first_source + static_cast<uint>(i * page_tokens),
                  .n_slots = static_cast<uint>(std::min<size_t>(head.slots.size() - i * page_tokens, page_tokens)),
                  .kv_first = static_cast<uint>(head.kv_head * layout.head_dim)};
    }
    const size_t n_rows = head.log_rows.size() / row_u16s;
    for (size_t i = 0; i < n_rows; ++i, log += log_row_bytes / sizeof(uint32_t))
      u16s_to_words(layout, &head.log_rows[i * row_u16s], log);
    first_source += static_cast<uint32_t>(head.slots.size());
    first_log += static_cast<uint32_t>(n_rows);
  }
}

}  // namespace headroom::device
