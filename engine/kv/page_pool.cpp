// Page ids in and out, slabs taken and given back, and the byte counters that follow. Stands under the head caches;
// must not know what a page holds or where it is.
#include "engine/kv/page_pool.h"

#include <algorithm>
#include <cassert>
#include <string>

#include "engine/base/error.h"

namespace headroom {
namespace {

constexpr PageHolder nobody{-1, -1};

}  // namespace

void check_page_layout(const PageLayout& layout) {
  if (layout.pages_per_slab() == 0)
    throw Error(ErrorKind::unsupported, "a KV page of " + std::to_string(page_tokens) + " tokens with head_dim " +
                                            std::to_string(layout.head_dim) + " takes " +
                                            std::to_string(layout.page_bytes()) + " bytes; expected at most " +
                                            std::to_string(slab_bytes) + ", the size of a slab");
  if (!layout.is_possible())
    throw Error(ErrorKind::unsupported, "a cache of type " + std::string(cache_type_name(layout.type)) +
                                            " has blocks of " + std::to_string(q8_block_values) +
                                            " values; a head of this model has " + std::to_string(layout.head_dim));
}

PagePool::PagePool(PageLayout layout, SlabOwner& owner) : layout_(layout), owner_(owner) {
  check_page_layout(layout);
}

void PagePool::set_layout(PageLayout layout) {
  check_page_layout(layout);
  assert(n_slabs_ == 0);
  layout_ = layout;
  slabs_.clear();
  holders_.clear();
  reset_peaks();
}

PagePool::~PagePool() {
  for (size_t slab = 0; slab < slabs_.size(); ++slab)
    if (slabs_[slab].present) owner_.remove_slab(static_cast<int32_t>(slab));
}

bool PagePool::is_free(PageId page) const {
  return holders_[static_cast<size_t>(page)] == nobody;
}

// The lowest absent slab. The lists grow before the owner is asked and nothing throws after it has agreed.
void PagePool::take_slab() {
  const auto absent = std::find_if(slabs_.begin(), slabs_.end(), [](const Slab& slab) { return !slab.present; });
  const auto slab = static_cast<size_t>(absent - slabs_.begin());
  if (absent == slabs_.end()) {
    holders_.resize((slab + 1) * static_cast<size_t>(pages_per_slab()), nobody);
    slabs_.emplace_back();
  }
  owner_.add_slab(static_cast<int32_t>(slab));
  slabs_[slab] = Slab{.present = true};
  peak_slabs_ = std::max(peak_slabs_, ++n_slabs_);
}

void PagePool::take_page(PageId page, PageHolder holder) {
  assert(is_free(page) && !(holder == nobody));
  Slab& slab = slabs_[static_cast<size_t>(page / pages_per_slab())];
  assert(slab.present);
  holders_[static_cast<size_t>(page)] = holder;
  ++slab.live;
  peak_live_pages_ = std::max(peak_live_pages_, ++live_pages_);
}

PageId PagePool::allocate(PageHolder holder) {
  const auto has_room = [this](const Slab& slab) { return slab.present && slab.live < pages_per_slab(); };
  auto found = std::find_if(slabs_.begin(), slabs_.end(), has_room);
  if (found == slabs_.end()) {
    take_slab();
    found = std::find_if(slabs_.begin(), slabs_.end(), has_room);
  }
  const PageId first = static_cast<PageId>(found - slabs_.begin()) * pages_per_slab();
  while (!is_free(first + found->first_free)) ++found->first_free;
  const PageId page = first + found->first_free;
  take_page(page, holder);
  return page;
}

void PagePool::free(PageId page) {
  assert(page >= 0 && static_cast<size_t>(page) < holders_.size() && !is_free(page));
  const int32_t slab_number = page / pages_per_slab();
  Slab& slab = slabs_[static_cast<size_t>(slab_number)];
  holders_[static_cast<size_t>(page)] = nobody;
  slab.first_free = std::min(slab.first_free, page % pages_per_slab());
  --live_pages_;
  if (--slab.live > 0) return;
  slab = Slab{};
  --n_slabs_;
  owner_.remove_slab(slab_number);
}

std::vector<PageMove> PagePool::plan_moves() const {
  const int64_t n_needed = (live_pages_ + pages_per_slab() - 1) / pages_per_slab();
  std::vector<PageMove> moves;
  if (n_needed == n_slabs_) return moves;

  // The fullest slabs stay; of equally full ones the lower.
  std::vector<int32_t> order;
  for (size_t slab = 0; slab < slabs_.size(); ++slab)
    if (slabs_[slab].present) order.push_back(static_cast<int32_t>(slab));
  std::stable_sort(order.begin(), order.end(), [this](int32_t a, int32_t b) {
    return slabs_[static_cast<size_t>(a)].live > slabs_[static_cast<size_t>(b)].live;
  });
  const auto stay_end = order.begin() + n_needed;
  std::sort(order.begin(), stay_end);

  std::vector<PageId> room;
  for (auto slab = order.begin(); slab != stay_end; ++slab)
    for (PageId page = *slab * pages_per_slab(); page < (*slab + 1) * pages_per_slab(); ++page)
      if (is_free(page)) room.push_back(page);
  auto to = room.begin();
  for (auto slab = stay_end; slab != order.end(); ++slab)
    for (PageId page = *slab * pages_per_slab(); page < (*slab + 1) * pages_per_slab(); ++page)
      if (!is_free(page)) moves.push_back({page, *to++, holder(page)});
  return moves;
}

void PagePool::finish_moves(std::span<const PageMove> moves) {
  const int64_t peak = peak_live_pages_;
  for (const PageMove& move : moves) {
    assert(holder(move.from) == move.holder);
    take_page(move.to, move.holder);
    free(move.from);
  }
  peak_live_pages_ = peak;  // a page that moves is one page
}

int64_t PagePool::live_bytes() const {
  return live_pages_ * static_cast<int64_t>(layout_.page_bytes());
}
int64_t PagePool::pool_bytes() const {
  return n_slabs_ * static_cast<int64_t>(slab_bytes);
}
int64_t PagePool::peak_live_bytes() const {
  return peak_live_pages_ * static_cast<int64_t>(layout_.page_bytes());
}
int64_t PagePool::peak_pool_bytes() const {
  return peak_slabs_ * static_cast<int64_t>(slab_bytes);
}

void PagePool::reset_peaks() {
  peak_live_pages_ = live_pages_;
  peak_slabs_ = n_slabs_;
}

}  // namespace headroom
