// Pages and slabs as numbers: which page is free, which slab is empty, how many bytes live, peaked and are reserved.
// Knows no device pointer; whoever owns the memory listens through SlabOwner.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "engine/base/page_layout.h"

namespace headroom {

/// Gives and takes slabs. add_slab may throw; the pool is unchanged then.
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
};

struct PageMove {
  PageId from = 0;
  PageId to = 0;
  PageHolder holder;
};

class PagePool {
 public:
  PagePool(PageLayout layout, SlabOwner& owner);
  ~PagePool();  // gives every slab back
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  /// The lowest free page; takes a new slab (the lowest free number) where none is free.
  PageId allocate(PageHolder holder);
  /// An empty slab goes back at once.
  void free(PageId page);
  /// The holder's index may change when a head is assembled anew.
  void set_holder(PageId page, PageHolder holder);

  /// Moves that empty as many slabs as the live pages allow: out of the emptiest slabs into free pages of the others.
  /// The caller copies each page in this order, tells the head, then calls finish_moves.
  std::vector<PageMove> plan_moves() const;
  void finish_moves(const std::vector<PageMove>& moves);

  const PageLayout& layout() const { return layout_; }
  int64_t live_pages() const { return live_pages_; }
  int64_t live_bytes() const;   // kv_live_bytes: live pages, unused slots and metadata included
  int64_t pool_bytes() const;   // kv_pool_bytes: slabs taken from the device
  int64_t peak_live_bytes() const;
  int64_t peak_pool_bytes() const;
  void reset_peaks();

 private:
  struct Slab {
    bool present = false;
    int32_t live = 0;
  };
  PageLayout layout_;
  SlabOwner& owner_;
  std::vector<Slab> slabs_;
  std::vector<PageHolder> holders_;  // by page id
  std::set<PageId> free_pages_;
  int64_t live_pages_ = 0;
  int64_t n_slabs_ = 0;
  int64_t peak_live_pages_ = 0;
  int64_t peak_slabs_ = 0;
};

}  // namespace headroom
