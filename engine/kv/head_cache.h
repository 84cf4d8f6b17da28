// Every head's list of pages and the tags of its slots, as plain numbers: a mirror of what the device's pages hold,
// kept exact from what the operations report.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/policy.h"
#include "engine/base/types.h"
#include "engine/kv/head_choice.h"
#include "engine/kv/page_pool.h"

namespace headroom {

struct HeadCache : HeadChoice {
  std::vector<PageId> pages;
  std::vector<SlotTag> tags;  // by slot, dense

  int32_t length() const { return static_cast<int32_t>(tags.size()); }
};

/// All heads of a model, layer-major, over one page pool.
class HeadCaches {
 public:
  HeadCaches(int32_t n_layers, int32_t n_kv_heads, PageLayout layout, SlabOwner& owner);

  int32_t n_heads() const { return static_cast<int32_t>(heads_.size()); }
  int32_t n_kv_heads() const { return n_kv_heads_; }
  int32_t n_layers() const { return n_heads() / n_kv_heads_; }
  const HeadCache& head(int32_t index) const { return heads_[static_cast<size_t>(index)]; }
  HeadCache& head(int32_t index) { return heads_[static_cast<size_t>(index)]; }
  PagePool& pool() { return pool_; }
  const PagePool& pool() const { return pool_; }
  int64_t kept_tokens() const;  // over all heads

  /// Gives every head a page for one more slot where its last page is full. All heads or, where it throws, none. The
  /// append that follows cannot fail.
  void reserve_slot();
  /// The slot that a decode step filled, in every head.
  void append(SlotTag tag);
  /// What a head let go: the last slot takes its place. A page that became empty is freed, unless the next
  /// reserve_slot would take it back at once (a page for one free slot is kept until trim).
  void evict(int32_t head, int32_t slot);
  /// Frees pages without a filled slot, of all heads.
  void trim();

  /// New pages for a head that is about to be assembled anew; the old ones stay until replace. On a throw nothing
  /// has changed. No moves may be planned until the pages went to replace or free_pages.
  std::vector<PageId> allocate_pages(int32_t head, int32_t n_slots);
  /// Hands the new pages, as many as the tags need, and tags to the head and frees the old pages. Policy and profile
  /// stay.
  void replace(int32_t head, std::vector<PageId> pages, std::vector<SlotTag> tags);
  void free_pages(const std::vector<PageId>& pages);  // allocated, but not used after all
  void clear();                                       // as constructed, but for the pool's peaks

  /// Applies pool moves to the heads' lists. The caller has copied the pages.
  void finish_moves(const std::vector<PageMove>& moves);

 private:
  void shrink(HeadCache& head, size_t n_pages);

  int32_t n_kv_heads_;
  PagePool pool_;
  std::vector<HeadCache> heads_;
};

}  // namespace headroom
