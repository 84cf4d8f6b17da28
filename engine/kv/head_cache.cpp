// Appends, evictions and new page lists ─► every head's pages and slot tags. Stands between the session, which knows
// what a step did, and the page pool; must not know K, V or scores.
#include "engine/kv/head_cache.h"

#include <cassert>
#include <utility>

namespace headroom {
namespace {

size_t pages_for(size_t n_slots) {
  return (n_slots + page_tokens - 1) / page_tokens;
}

}  // namespace

HeadCaches::HeadCaches(int32_t n_layers, int32_t n_kv_heads, PageLayout layout, SlabOwner& owner)
    : n_kv_heads_(n_kv_heads), pool_(layout, owner), heads_(static_cast<size_t>(n_layers) * n_kv_heads) {
  assert(n_layers > 0 && n_kv_heads > 0);
}

int64_t HeadCaches::kept_tokens() const {
  int64_t n_kept = 0;
  for (const HeadCache& head : heads_) n_kept += head.length();
  return n_kept;
}

void HeadCaches::reserve_slot() {
  std::vector<HeadCache*> grown;
  grown.reserve(heads_.size());
  try {
    for (size_t index = 0; index < heads_.size(); ++index) {
      HeadCache& head = heads_[index];
      // The lists get their room here, so that append can do without an allocation.
      if (head.tags.size() == head.tags.capacity()) head.tags.reserve(2 * head.tags.size() + page_tokens);
      if (pages_for(head.tags.size() + 1) <= head.pages.size()) continue;
      head.pages.emplace_back();
      try {
        head.pages.back() = pool_.allocate({static_cast<int32_t>(index), static_cast<int32_t>(head.pages.size()) - 1});
      } catch (...) {
        head.pages.pop_back();
        throw;
      }
      grown.push_back(&head);
    }
  } catch (...) {
    for (HeadCache* head : grown) {
      pool_.free(head->pages.back());
      head->pages.pop_back();
    }
    throw;
  }
}

void HeadCaches::append(SlotTag tag) {
  for (HeadCache& head : heads_) {
    assert(head.tags.size() < head.pages.size() * page_tokens);
    head.tags.push_back(tag);
  }
}

void HeadCaches::evict(int32_t head_index, int32_t slot) {
  HeadCache& cache = head(head_index);
  assert(slot >= 0 && slot < cache.length());
  cache.tags[static_cast<size_t>(slot)] = cache.tags.back();
  cache.tags.pop_back();
  shrink(cache, pages_for(cache.tags.size() + 1));
}

void HeadCaches::trim() {
  for (HeadCache& head : heads_) shrink(head, pages_for(head.tags.size()));
}

void HeadCaches::shrink(HeadCache& head, size_t n_pages) {
  while (head.pages.size() > n_pages) {
    pool_.free(head.pages.back());
    head.pages.pop_back();
  }
}

std::vector<PageId> HeadCaches::allocate_pages(int32_t head_index, int32_t n_slots) {
  assert(head_index >= 0 && head_index < n_heads() && n_slots >= 0);
  const size_t n_pages = pages_for(static_cast<size_t>(n_slots));
  std::vector<PageId> pages;
  pages.reserve(n_pages);
  try {
    while (pages.size() < n_pages) pages.push_back(pool_.allocate({head_index, static_cast<int32_t>(pages.size())}));
  } catch (...) {
    free_pages(pages);
    throw;
  }
  return pages;
}

void HeadCaches::replace(int32_t head_index, std::vector<PageId> pages, std::vector<SlotTag> tags) {
  assert(pages.size() == pages_for(tags.size()));
  HeadCache& cache = head(head_index);
  free_pages(cache.pages);
  cache.pages = std::move(pages);
  cache.tags = std::move(tags);
}

void HeadCaches::free_pages(const std::vector<PageId>& pages) {
  for (const PageId page : pages) pool_.free(page);
}

void HeadCaches::clear() {
  for (HeadCache& head : heads_) {
    free_pages(head.pages);
    head = HeadCache{};
  }
}

void HeadCaches::finish_moves(const std::vector<PageMove>& moves) {
  for (const PageMove& move : moves) {
    PageId& page = head(move.holder.head).pages[static_cast<size_t>(move.holder.index)];
    assert(page == move.from);
    page = move.to;
  }
  pool_.finish_moves(moves);
}

}  // namespace headroom
