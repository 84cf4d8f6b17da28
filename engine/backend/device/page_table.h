// The pages of every head as a device knows them: a table of addresses, one row per head. The host remembers what is in
// it, so that a step uploads only what changed. Knows no device: addresses come from outside.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/device/kernel_params.h"

namespace headroom::device {

class PageTable {
 public:
  /// Makes room for these heads. True: the table has another size now, and nothing of it is known.
  bool fit(std::span<const HeadView> heads);
  /// From row to row.
  uint32_t stride() const { return stride_; }
  size_t size() const { return known_.size(); }

  /// What has to be written for these heads, after which it is known.
  /// address_of(page): where the device finds it
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

  /// The addresses of these pages are no longer theirs.
  void forget(PageId first, PageId end);
  void forget_all();

 private:
  static constexpr PageId unknown = -1;

  uint32_t stride_ = 0;
  std::vector<PageId> known_;  // (heads, stride)
};

}  // namespace headroom::device
