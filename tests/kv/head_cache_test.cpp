// Head caches: slots stay dense, pages are allocated and freed with them, and an exhausted pool leaves heads unchanged.
#include "engine/kv/head_cache.h"

#include <catch2/catch.hpp>

#include "tests/kv/fake_slab_owner.h"

namespace headroom::head_cache_test {
namespace {

using test::FakeSlabOwner;

constexpr PageLayout four_a_slab{8000};

SlotTag plain(int32_t position) {
  return make_tag(position, TokenClass::plain);
}

void append(HeadCaches& caches, int32_t from, int32_t to) {
  for (int32_t position = from; position < to; ++position) {
    caches.reserve_slot();
    caches.append(plain(position));
  }
}

std::vector<int32_t> positions(const HeadCache& head) {
  std::vector<int32_t> list;
  for (const SlotTag tag : head.tags) list.push_back(tag_position(tag));
  return list;
}

TEST_CASE("heads are layer-major and start empty, with policy full") {
  FakeSlabOwner owner;
  const HeadCaches caches(5, 3, four_a_slab, owner);
  CHECK(caches.n_heads() == 15);
  CHECK(caches.n_layers() == 5);
  CHECK(caches.n_kv_heads() == 3);
  CHECK(caches.kept_tokens() == 0);
  CHECK(caches.head(14).policy == Policy{Policy::full});
  CHECK(owner.slabs.empty());
}

TEST_CASE("every head gets a page where its last one is full") {
  FakeSlabOwner owner;
  HeadCaches caches(1, 2, four_a_slab, owner);
  caches.reserve_slot();
  CHECK(caches.pool().live_pages() == 2);
  caches.reserve_slot();  // the slot is still free
  CHECK(caches.pool().live_pages() == 2);
  append(caches, 0, 16);
  CHECK(caches.pool().live_pages() == 2);
  append(caches, 16, 17);
  CHECK(caches.pool().live_pages() == 4);
  CHECK(caches.kept_tokens() == 34);
  CHECK(caches.head(0).pages == std::vector<PageId>{0, 2});
  CHECK(caches.head(1).pages == std::vector<PageId>{1, 3});
  CHECK(caches.pool().holder(3) == PageHolder{1, 1});
}

TEST_CASE("the last slot takes an evicted slot's place") {
  FakeSlabOwner owner;
  HeadCaches caches(1, 2, four_a_slab, owner);
  append(caches, 0, 5);
  caches.evict(0, 1);
  CHECK(positions(caches.head(0)) == std::vector<int32_t>{0, 4, 2, 3});
  caches.evict(0, 3);
  CHECK(positions(caches.head(0)) == std::vector<int32_t>{0, 4, 2});
  CHECK(positions(caches.head(1)) == std::vector<int32_t>{0, 1, 2, 3, 4});
}

TEST_CASE("one page for the next slot is kept, the page behind it is not") {
  FakeSlabOwner owner;
  HeadCaches caches(1, 1, four_a_slab, owner);
  append(caches, 0, 33);
  CHECK(caches.head(0).pages.size() == 3);
  caches.evict(0, 0);  // 32 slots: the next token needs the third page again
  CHECK(caches.head(0).pages.size() == 3);
  caches.evict(0, 0);  // 31: it does not
  CHECK(caches.head(0).pages.size() == 2);
  append(caches, 33, 34);
  CHECK(caches.head(0).pages.size() == 2);
  for (int i = 0; i < 16; ++i) caches.evict(0, 0);
  CHECK(caches.head(0).length() == 16);
  CHECK(caches.head(0).pages.size() == 2);
  caches.trim();
  CHECK(caches.head(0).pages.size() == 1);
  for (int i = 0; i < 16; ++i) caches.evict(0, 0);
  caches.trim();
  CHECK(caches.head(0).pages.empty());
  CHECK(owner.slabs.empty());
}

TEST_CASE("reserving is for all heads or for none") {
  FakeSlabOwner owner;
  HeadCaches caches(3, 2, four_a_slab, owner);  // six heads: the fifth page needs a second slab
  int n_granted = 1;
  owner.refuse = [&] { return n_granted-- <= 0; };
  CHECK_THROWS_AS(caches.reserve_slot(), Error);
  CHECK(caches.pool().live_pages() == 0);
  CHECK(owner.slabs.empty());
  for (int32_t index = 0; index < 6; ++index) CHECK(caches.head(index).pages.empty());

  owner.refuse = nullptr;
  append(caches, 0, 16);
  n_granted = 0;
  owner.refuse = [&] { return n_granted-- <= 0; };
  CHECK_THROWS_AS(caches.reserve_slot(), Error);  // two of the six would still have had room
  CHECK(caches.pool().live_pages() == 6);
  for (int32_t index = 0; index < 6; ++index) {
    CHECK(caches.head(index).pages == std::vector<PageId>{index});
    CHECK(caches.head(index).length() == 16);
  }
  owner.refuse = nullptr;
  append(caches, 16, 17);
  CHECK(caches.pool().live_pages() == 12);
}

TEST_CASE("a head is assembled anew beside its old pages") {
  FakeSlabOwner owner;
  HeadCaches caches(1, 2, four_a_slab, owner);
  append(caches, 0, 20);
  caches.head(1).policy = Policy{Policy::local};
  std::vector<PageId> pages = caches.allocate_pages(1, 17);
  CHECK(pages == std::vector<PageId>{4, 5});
  CHECK(caches.pool().holder(5) == PageHolder{1, 1});
  CHECK(caches.head(1).pages == std::vector<PageId>{1, 3});

  std::vector<SlotTag> tags;
  for (int32_t position = 3; position < 20; ++position) tags.push_back(plain(position));
  caches.replace(1, std::move(pages), tags);
  CHECK(caches.head(1).pages == std::vector<PageId>{4, 5});
  CHECK(caches.head(1).tags == tags);
  CHECK(caches.head(1).policy == Policy{Policy::local});
  CHECK(caches.pool().live_pages() == 4);

  caches.free_pages(caches.allocate_pages(0, 100));
  CHECK(caches.pool().live_pages() == 4);
  CHECK(caches.allocate_pages(0, 0).empty());
  caches.replace(1, {}, {});
  CHECK(caches.pool().live_pages() == 2);
}

TEST_CASE("pages that cannot all be had are all given back") {
  FakeSlabOwner owner;
  HeadCaches caches(1, 1, four_a_slab, owner);
  append(caches, 0, 16);
  int n_granted = 2;
  owner.refuse = [&] { return n_granted-- <= 0; };
  CHECK_THROWS_AS(caches.allocate_pages(0, 16 * 20), Error);
  CHECK(caches.pool().live_pages() == 1);
  CHECK(owner.slabs == std::set<int32_t>{0});
}

TEST_CASE("cleared caches hold nothing") {
  FakeSlabOwner owner;
  HeadCaches caches(1, 2, four_a_slab, owner);
  append(caches, 0, 40);
  caches.head(0).policy = Policy{Policy::local};
  caches.head(0).profile.recoveries[1] = 0.5;
  caches.clear();
  CHECK(caches.kept_tokens() == 0);
  CHECK(caches.pool().live_bytes() == 0);
  CHECK(owner.slabs.empty());
  CHECK(caches.head(0).policy == Policy{Policy::full});
  CHECK(caches.head(0).profile.recoveries[1] == 0);
  append(caches, 0, 1);
  CHECK(caches.head(1).length() == 1);
}

TEST_CASE("moved pages are found again through their heads") {
  FakeSlabOwner owner;
  HeadCaches caches(1, 3, four_a_slab, owner);
  append(caches, 0, 48);  // head h holds pages h, 3 + h, 6 + h: slabs of 4, 4 and 1
  for (int i = 0; i < 33; ++i) caches.evict(0, 0);
  CHECK(caches.head(0).pages == std::vector<PageId>{0});  // slabs of 3, 3, 1
  const std::vector<PageMove> moves = caches.pool().plan_moves();
  REQUIRE(moves.size() == 1);
  CHECK(moves[0].from == 8);
  CHECK(moves[0].to == 3);
  caches.finish_moves(moves);
  CHECK(caches.head(2).pages == std::vector<PageId>{2, 5, 3});
  CHECK(owner.slabs == std::set<int32_t>{0, 1});
}

}  // namespace
}  // namespace headroom::head_cache_test
