// Heads that are written anew ─► the lists that a device's gather_slots reads: a source per slot, an entry per page,
// the logged rows. Knows no device: addresses come from outside.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "engine/backend/backend.h"
#include "engine/backend/device/kernel_params.h"

namespace headroom::device {

/// Where each list lies, in bytes behind their common begin.
struct GatherLists {
  size_t n_slots = 0, n_pages = 0, n_log = 0;
  size_t log_row_bytes = 0;

  GatherLists(std::span<const GatherHead> heads, const PageLayout& layout);

  size_t pages_begin() const { return n_slots * sizeof(SlotSourceWords); }
  size_t log_begin() const { return pages_begin() + n_pages * sizeof(GatherPage); }
  size_t bytes() const { return log_begin() + n_log * log_row_bytes; }

  /// Writes them.  address_of(page): a multiple of 64, where the device finds it
  void fill(std::span<const GatherHead> heads, const PageLayout& layout,
            const std::function<uint64_t(PageId)>& address_of, std::byte* to) const;
};

}  // namespace headroom::device
