// The page pool's contract: which page is allocated next, when slabs are returned, what moves, and counters that are
// always exact, even if the owner refuses slabs.
#include "engine/kv/page_pool.h"

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "engine/base/error.h"
#include "tests/kv/fake_slab_owner.h"
#include "tests/support/effort.h"

namespace headroom::page_pool_test {
namespace {

using test::FakeSlabOwner;

// A page of head_dim 8000 has 16 * (4 * 8000 + 8) = 512128 bytes: four in a slab of 2097152.
constexpr PageLayout four_a_slab{8000};
constexpr int64_t page_bytes = 512128;

TEST_CASE("the lowest free page comes next, a slab at a time") {
  FakeSlabOwner owner;
  PagePool pool(four_a_slab, owner);
  CHECK(pool.live_bytes() == 0);
  CHECK(pool.pool_bytes() == 0);
  for (int32_t i = 0; i < 6; ++i) CHECK(pool.allocate({0, i}) == i);
  CHECK(owner.slabs == std::set<int32_t>{0, 1});
  CHECK(pool.live_bytes() == 6 * page_bytes);
  CHECK(pool.pool_bytes() == 2 * int64_t{slab_bytes});
  pool.free(4);
  pool.free(1);
  CHECK(pool.allocate({7, 3}) == 1);
  CHECK(pool.holder(1) == PageHolder{7, 3});
  CHECK(pool.allocate({0, 0}) == 4);
  CHECK(pool.allocate({0, 0}) == 6);
}

TEST_CASE("an empty slab goes back at once and its number is used again") {
  FakeSlabOwner owner;
  PagePool pool(four_a_slab, owner);
  for (int32_t i = 0; i < 9; ++i) pool.allocate({0, i});
  for (const PageId page : {0, 3, 1}) pool.free(page);
  CHECK(owner.slabs == std::set<int32_t>{0, 1, 2});
  pool.free(2);
  CHECK(owner.slabs == std::set<int32_t>{1, 2});
  for (const PageId expected : {9, 10, 11, 0}) CHECK(pool.allocate({1, 0}) == expected);
  CHECK(owner.slabs == std::set<int32_t>{0, 1, 2});
  CHECK(pool.peak_pool_bytes() == 3 * int64_t{slab_bytes});
  CHECK(pool.peak_live_bytes() == 9 * page_bytes);
}

TEST_CASE("peaks can be taken anew") {
  FakeSlabOwner owner;
  PagePool pool(four_a_slab, owner);
  for (int32_t i = 0; i < 5; ++i) pool.allocate({0, i});
  pool.free(4);
  CHECK(pool.peak_live_bytes() == 5 * page_bytes);
  pool.reset_peaks();
  CHECK(pool.peak_live_bytes() == 4 * page_bytes);
  CHECK(pool.peak_pool_bytes() == int64_t{slab_bytes});
}

TEST_CASE("moves go out of the emptiest slabs into the others, lowest page first") {
  FakeSlabOwner owner;
  PagePool pool(four_a_slab, owner);
  for (int32_t i = 0; i < 12; ++i) pool.allocate({0, i});
  for (const PageId page : {1, 2, 5, 8, 10, 11}) pool.free(page);
  // Slab 0 holds pages 0 and 3, slab 1 holds 4, 6, 7, slab 2 holds 9: six pages fit two slabs, so slab 2 empties.
  const std::vector<PageMove> moves = pool.plan_moves();
  REQUIRE(moves.size() == 1);
  CHECK(moves[0].from == 9);
  CHECK(moves[0].to == 1);
  CHECK(moves[0].holder == PageHolder{0, 9});
  pool.reset_peaks();
  pool.finish_moves(moves);
  CHECK(owner.slabs == std::set<int32_t>{0, 1});
  CHECK(pool.peak_live_bytes() == 6 * page_bytes);  // a page that moves is one page
  CHECK(pool.holder(1) == PageHolder{0, 9});
  CHECK(pool.live_pages() == 6);
  CHECK(pool.plan_moves().empty());
  CHECK(pool.allocate({0, 0}) == 2);
}

TEST_CASE("nothing moves where that empties no slab") {
  FakeSlabOwner owner;
  PagePool pool(four_a_slab, owner);
  CHECK(pool.plan_moves().empty());
  for (int32_t i = 0; i < 8; ++i) pool.allocate({0, i});
  for (const PageId page : {0, 5, 6}) pool.free(page);  // five pages need two slabs
  CHECK(pool.plan_moves().empty());
}

TEST_CASE("a slab that is refused changes nothing") {
  FakeSlabOwner owner;
  PagePool pool(four_a_slab, owner);
  for (int32_t i = 0; i < 4; ++i) pool.allocate({0, i});
  owner.refuse = [] { return true; };
  for (int attempt = 0; attempt < 3; ++attempt) {
    CHECK_THROWS_AS(pool.allocate({0, 4}), Error);
    CHECK(pool.live_pages() == 4);
    CHECK(pool.pool_bytes() == int64_t{slab_bytes});
    CHECK(pool.peak_pool_bytes() == int64_t{slab_bytes});
  }
  pool.free(2);
  CHECK(pool.allocate({0, 9}) == 2);
  owner.refuse = nullptr;
  CHECK(pool.allocate({0, 4}) == 4);
}

TEST_CASE("a page that no slab can hold is refused with a sentence") {
  FakeSlabOwner owner;
  CHECK_THROWS_WITH(PagePool(PageLayout{40000}, owner), Catch::Contains("40000") && Catch::Contains("2097152"));
  CHECK_THROWS_WITH(PagePool(PageLayout{80, CacheType::q8_0}, owner), Catch::Contains("80") && Catch::Contains("q8_0"));
}

TEST_CASE("every slab goes back with the pool") {
  FakeSlabOwner owner;
  {
    PagePool pool(four_a_slab, owner);
    for (int32_t i = 0; i < 30; ++i) pool.allocate({0, i});
    CHECK(owner.slabs.size() == 8);
  }
  CHECK(owner.slabs.empty());
}

/// The page pool's contract, implemented with sets.
struct NaivePool {
  int32_t pages_per_slab;
  std::map<PageId, int> held;  // page ─► what was written there
  size_t peak_pages = 0, peak_slabs = 0;

  std::set<int32_t> slabs() const {
    std::set<int32_t> numbers;
    for (const auto& [page, content] : held) numbers.insert(page / pages_per_slab);
    return numbers;
  }
  PageId next() const {
    const std::set<int32_t> present = slabs();
    for (const int32_t slab : present)
      for (PageId page = slab * pages_per_slab; page < (slab + 1) * pages_per_slab; ++page)
        if (held.count(page) == 0) return page;
    int32_t slab = 0;
    while (present.count(slab) == 1) ++slab;
    return slab * pages_per_slab;
  }
  void note_peaks() {
    peak_pages = std::max(peak_pages, held.size());
    peak_slabs = std::max(peak_slabs, slabs().size());
  }
};

void check_same(const PagePool& pool, const FakeSlabOwner& owner, const NaivePool& naive) {
  const auto page = static_cast<int64_t>(pool.layout().page_bytes());
  REQUIRE(owner.slabs == naive.slabs());
  REQUIRE(pool.live_pages() == static_cast<int64_t>(naive.held.size()));
  REQUIRE(pool.live_bytes() == static_cast<int64_t>(naive.held.size()) * page);
  REQUIRE(pool.pool_bytes() == static_cast<int64_t>(naive.slabs().size() * slab_bytes));
  REQUIRE(pool.peak_live_bytes() == static_cast<int64_t>(naive.peak_pages) * page);
  REQUIRE(pool.peak_pool_bytes() == static_cast<int64_t>(naive.peak_slabs * slab_bytes));
}

TEST_CASE("random use: counters, owners and contents equal a naive pool's") {
  for (unsigned seed = 1; seed <= (test::has_sanitizer ? 8 : 40); ++seed) {
    CAPTURE(seed);
    std::mt19937 rng(seed);
    const PageLayout layout{std::vector<int32_t>{32000, 16000, 8000, 1000}[seed % 4]};  // 1, 2, 4, 32 pages per slab
    FakeSlabOwner owner;
    PagePool pool(layout, owner);
    NaivePool naive{.pages_per_slab = layout.pages_per_slab(), .held = {}};
    int next_content = 0;
    for (int step = 0; step < 600; ++step) {
      owner.refuse = [&] { return rng() % 4 == 0; };
      const unsigned growing = (step / 100) % 2 == 0 ? 7 : 3;
      const auto dice = rng() % 10;
      if (dice < growing) {
        const PageId expected = naive.next();
        const bool needs_slab = naive.slabs().count(expected / naive.pages_per_slab) == 0;
        try {
          const PageId page = pool.allocate({0, next_content});
          REQUIRE(page == expected);
          naive.held[page] = next_content++;
          naive.note_peaks();
        } catch (const Error&) {
          REQUIRE(needs_slab);
        }
      } else if (dice < 9 && !naive.held.empty()) {
        const auto victim = std::next(naive.held.begin(), static_cast<int>(rng() % naive.held.size()));
        const PageId page = victim->first;
        naive.held.erase(victim);
        pool.free(page);
      } else if (dice == 9) {
        const std::vector<PageMove> moves = pool.plan_moves();
        for (const PageMove& move : moves) {  // as the caller would copy, in this order
          REQUIRE(naive.held.count(move.from) == 1);
          REQUIRE(naive.held.count(move.to) == 0);
          REQUIRE(move.holder == PageHolder{0, naive.held[move.from]});
          naive.held[move.to] = naive.held[move.from];
          naive.held.erase(move.from);
        }
        pool.finish_moves(moves);
        const size_t per_slab = static_cast<size_t>(naive.pages_per_slab);
        REQUIRE(owner.slabs.size() == (naive.held.size() + per_slab - 1) / per_slab);
      }
      check_same(pool, owner, naive);
    }
    for (const auto& [page, content] : naive.held) REQUIRE(pool.holder(page) == PageHolder{0, content});
  }
}

TEST_CASE("an empty pool takes another layout and counts its bytes") {
  FakeSlabOwner owner;
  PagePool pool(PageLayout{64}, owner);
  const PageId page = pool.allocate({0, 0});
  CHECK(pool.live_bytes() == 4224);
  pool.free(page);
  CHECK_THROWS_WITH(pool.set_layout({80, CacheType::q8_0}), Catch::Contains("blocks of 32"));
  CHECK(pool.layout() == PageLayout{64});
  pool.set_layout({64, CacheType::q8_0});
  CHECK(pool.peak_live_bytes() == 0);
  for (int32_t i = 0; i < 911; ++i) CHECK(pool.allocate({0, i}) == i);
  CHECK(owner.slabs == std::set<int32_t>{0, 1});  // 910 pages per slab
  CHECK(pool.live_bytes() == 911 * 2304);
}

}  // namespace
}  // namespace headroom::page_pool_test
