// Heads whose pages are rewritten ─► the lists that a device's gather_slots reads: a source per slot, an entry per
// page, the logged rows. Knows no device: the caller provides the addresses.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "engine/backend/backend.h"
#include "engine/backend/device/kernel_params.h"

namespace headroom::device {

/// Where each list lies, in bytes from the beginning of the first.
struct GatherLists {
  size_t n_slots = 0, n_pages = 0, n_log = 0;
  size_t log_row_bytes = 0;

  GatherLists(std::span<const GatherHead> heads, const PageLayout& layout);

  size_t pages_begin() const { return n_slots * sizeof(SlotSourceWords); }
  size_t log_begin() const { return pages_begin() + n_pages * sizeof(GatherPage); }
  size_t bytes() const { return log_begin() + n_log * log_row_bytes; }

  /// Writes the lists to `to`.  address_of(page): the page's device address, a multiple of 64
  void fill(std::span<const GatherHead> heads, const PageLayout& layout,
            const std::function<uint64_t(PageId)>& address_of, std::byte* to) const;
};

}  // namespace headroom::device
