// Host copy of a device's page table. See page_table.h.
#include "engine/backend/device/page_table.h"

#include <algorithm>
#include <bit>

namespace headroom::device {

bool PageTable::fit(std::span<const HeadView> heads) {
  constexpr size_t fewest_pages = 16;
  size_t longest = fewest_pages;
  for (const HeadView& head : heads) longest = std::max(longest, head.pages.size());
  if (longest <= stride_ && known_.size() == heads.size() * stride_) return false;
  stride_ = std::max(stride_, static_cast<uint32_t>(std::bit_ceil(longest)));
  known_.assign(heads.size() * stride_, unknown);
  return true;
}

void PageTable::forget(PageId first, PageId end) {
  for (PageId& page : known_)
    if (page >= first && page < end) page = unknown;
}

void PageTable::forget_all() {
  std::fill(known_.begin(), known_.end(), unknown);
}

}  // namespace headroom::device
