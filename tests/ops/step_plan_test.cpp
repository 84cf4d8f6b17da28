// The data that every GPU gets before a step (engine/backend/device): the page table's changes, splits of equal size,
// and the keep rule, which the host and the kernels each implement.
#include "engine/backend/device/step_plan.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "engine/backend/device/page_table.h"

namespace headroom::test::step_plan_test {
namespace {

using device::PageChange;
using device::PageTable;
using device::StepHead;
using device::StepPlan;

uint64_t address_of(PageId page) {
  return 0x100000000u + static_cast<uint64_t>(page) * 64;
}

std::vector<PageId> changed_pages(PageTable& table, const std::vector<HeadView>& heads) {
  table.fit(heads);
  std::vector<PageId> pages;
  for (const PageChange& change : table.update(heads, address_of)) {
    CHECK(change.high == 1);
    pages.push_back(static_cast<PageId>(change.low / 64));
  }
  return pages;
}

}  // namespace

TEST_CASE("the page table takes up each page once, and again if it moved or its slab went") {
  PageTable table;
  std::vector<PageId> first{5, 6}, second{9};
  const auto heads = [&] { return std::vector<HeadView>{{first, 20}, {second, 3}}; };
  CHECK(changed_pages(table, heads()) == std::vector<PageId>{5, 6, 9});
  CHECK(changed_pages(table, heads()).empty());
  second.push_back(7);
  CHECK(changed_pages(table, heads()) == std::vector<PageId>{7});
  first[0] = 1;  // moved
  CHECK(changed_pages(table, heads()) == std::vector<PageId>{1});
  table.forget(6, 8);
  CHECK(changed_pages(table, heads()) == std::vector<PageId>{6, 7});
  first.resize(17, 3);  // more than a row had room for
  CHECK(changed_pages(table, heads()).size() == 17 + 2);
}

TEST_CASE("a change of the page table names its place: the head's row, then the page's number") {
  PageTable table;
  const std::vector<PageId> first{5}, second{6, 7};
  const std::vector<HeadView> heads{{first, 1}, {second, 17}};
  table.fit(heads);
  const std::vector<PageChange> changes = table.update(heads, address_of);
  REQUIRE(changes.size() == 3);
  CHECK(changes[0].index == 0);
  CHECK(changes[1].index == table.stride());
  CHECK(changes[2].index == table.stride() + 1);
}

TEST_CASE("a layer's heads are cut into splits of whole pages, the last with the step's token") {
  const std::vector<PageId> pages(64);
  // With the token 33 and 1000 slots; 16 splits are wanted: 64 slots is the least, 80 = ceil(1033 / 16) in pages.
  const std::vector<HeadView> heads{{pages, 32}, {pages, 999}};
  const std::vector<KeepRule> rules(2);
  const DecodeStep step{.position = 1000, .token_id = 7, .n_kv_heads = 2, .heads = heads, .rules = rules};
  StepPlan plan;
  CHECK(plan.fit(step, 16));
  CHECK_FALSE(plan.fit(step, 16));
  std::vector<std::byte> bytes(plan.bytes());
  plan.fill(step, 16, /*page_stride=*/64, bytes.data());
  const auto head = [&](size_t i) {
    StepHead found;
    std::memcpy(&found, bytes.data() + sizeof(StepHead) * (1 + i), sizeof found);
    return found;
  };
  CHECK(head(0).n_splits == 1);
  CHECK(head(0).split_slots == 48);
  CHECK(head(1).first_split == 1);
  CHECK(head(1).n_splits == 13);
  CHECK(head(1).split_slots == 80);  // 12 * 80 = 960, the last split has 40
  CHECK(head(1).first_page == 64);
  uint32_t n_groups = 0;
  std::memcpy(&n_groups, bytes.data() + plan.counts_begin(0), sizeof n_groups);
  CHECK(n_groups == 14);
}

TEST_CASE("what a step uploads does not grow with the tokens that its heads hold") {
  const std::vector<PageId> pages(1024);
  const std::vector<KeepRule> rules(4);
  const auto bytes_at = [&](int32_t length) {
    const std::vector<HeadView> heads(4, HeadView{pages, length});
    StepPlan plan;
    plan.fit({.n_kv_heads = 2, .heads = heads, .rules = rules}, 256);
    return plan.bytes();
  };
  CHECK(bytes_at(256) == bytes_at(7500));
}

TEST_CASE("kernels and host keep the same slots without a look at their scores") {
  for (int parts = 0; parts < 256; ++parts) {
    const KeepRule rule{.policy = {static_cast<uint8_t>(parts)}, .local_from = 20, .n_frequent = 3, .class_from = 10};
    StepHead head{};
    head.parts = static_cast<uint32_t>(parts);
    head.local_from = 20;
    head.class_from = 10;
    head.n_frequent = 3;
    head.n_total = -1;
    for (const int32_t position : {0, 3, 4, 9, 10, 19, 20, 30})
      for (const TokenClass token_class : {TokenClass::plain, TokenClass::special, TokenClass::punctuation})
        if (device::keeps_always(head, static_cast<uint32_t>(position), static_cast<uint32_t>(token_class)) !=
            rule.keeps_always(position, token_class))
          FAIL("parts " << parts << ", position " << position);
    for (const int32_t n_total : {-1, 0, 7, 20}) {
      KeepRule with_budget = rule;
      with_budget.n_total = head.n_total = n_total;
      CHECK(device::n_kept_by_score(head, 7) == static_cast<uint32_t>(with_budget.n_by_score(7)));
    }
  }
}

}  // namespace headroom::test::step_plan_test
