// Pages and slabs as numbers: which page is free, which slab is empty, how many bytes live, peaked and are reserved.
// Knows no device pointer; whoever owns the memory listens through SlabOwner.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/page_layout.h"

namespace headroom {

/// Gives and takes slabs. add_slab may throw; the pool is unchanged then. remove_slab must not.
class SlabOwner {
 public:
  virtual ~SlabOwner() = default;
  virtual void add_slab(int32_t slab) = 0;
  virtual void remove_slab(int32_t slab) = 0;
};

/// Who holds a page: the index-th page of a head (layer * n_kv_heads + kv_head).
struct PageHolder {
  int32_t head = 0;
  int32_t index = 0;
  bool operator==(const PageHolder&) const = default;
};

struct PageMove {
  PageId from = 0;
  PageId to = 0;
  PageHolder holder;
};

/// Throws Error(unsupported) where a page is larger than a slab, or its rows are no whole blocks.
void check_page_layout(const PageLayout& layout);

class PagePool {
 public:
  /// The owner must outlive the pool. Throws as check_page_layout.
  PagePool(PageLayout layout, SlabOwner& owner);
  ~PagePool();  // gives every slab back
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  /// The lowest free page; takes a new slab (the lowest free number) where none is free. On a throw nothing has
  /// changed.
  PageId allocate(PageHolder holder);
  /// An empty slab goes back at once. Never throws.
  void free(PageId page);
  const PageHolder& holder(PageId page) const { return holders_[static_cast<size_t>(page)]; }

  /// Moves that empty as many slabs as the live pages allow: out of the emptiest slabs into free pages of the others.
  /// The caller copies each page in this order, tells the head, then calls finish_moves, with no other call between.
  std::vector<PageMove> plan_moves() const;
  void finish_moves(std::span<const PageMove> moves);

  const PageLayout& layout() const { return layout_; }
  /// Other pages from now on, while none is held. Throws as check_page_layout; nothing has changed then.
  void set_layout(PageLayout layout);
  int64_t live_pages() const { return live_pages_; }
  int64_t live_bytes() const;  // kv_live_bytes: live pages, unused slots and metadata included
  int64_t pool_bytes() const;  // kv_pool_bytes: slabs taken from the device
  int64_t peak_live_bytes() const;
  int64_t peak_pool_bytes() const;
  void reset_peaks();  // to what is held now

 private:
  struct Slab {
    bool present = false;
    int32_t live = 0;        // pages held
    int32_t first_free = 0;  // no page below this index is free
  };

  int32_t pages_per_slab() const { return layout_.pages_per_slab(); }
  bool is_free(PageId page) const;
  void take_slab();
  void take_page(PageId page, PageHolder holder);

  PageLayout layout_;
  SlabOwner& owner_;
  std::vector<Slab> slabs_;          // by slab number, absent ones included
  std::vector<PageHolder> holders_;  // by page id
  int64_t live_pages_ = 0;
  int64_t n_slabs_ = 0;
  int64_t peak_live_pages_ = 0;
  int64_t peak_slabs_ = 0;
};

}  // namespace headroom
