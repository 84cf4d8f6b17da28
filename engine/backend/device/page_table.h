// Host copy of a device's page table: a table of page addresses, one row per head. With the copy, a step uploads only
// the changes. Knows no device: the caller provides the addresses.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/device/kernel_params.h"

namespace headroom::device {

class PageTable {
 public:
  /// Makes room for these heads. Returns true if the size changed; then all entries are unknown.
  bool fit(std::span<const HeadView> heads);
  /// Entries from row to row.
  uint32_t stride() const { return stride_; }
  size_t size() const { return known_.size(); }

  /// Returns the entries that differ for these heads; the caller must write them to the device.
  /// address_of(page): the page's device address
  template <typename AddressOf>
  std::vector<PageChange> update(std::span<const HeadView> heads, AddressOf address_of) {
    std::vector<PageChange> changes;
    for (size_t h = 0; h < heads.size(); ++h) {
      PageId* row = known_.data() + h * stride_;
      const std::span<const PageId> pages = heads[h].pages;
      for (size_t i = 0; i < pages.size(); ++i) {
        if (row[i] == pages[i]) continue;
        row[i] = pages[i];
        const uint64_t address = address_of(pages[i]);
        changes.push_back({.index = static_cast<uint>(h * stride_ + i),
                           .low = static_cast<uint>(address),
                           .high = static_cast<uint>(address >> 32),
                           .padding = 0});
      }
    }
    return changes;
  }

  /// Marks these pages as unknown, since their addresses are no longer valid.
  void forget(PageId first, PageId end);
  void forget_all();

 private:
  static constexpr PageId unknown = -1;

  uint32_t stride_ = 0;
  std::vector<PageId> known_;  // (heads, stride)
};

}  // namespace headroom::device
