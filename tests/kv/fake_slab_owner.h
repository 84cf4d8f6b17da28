// A slab owner without memory: records the slabs in use and refuses on demand. The test fails if a slab is allocated
// twice, or returned without having been allocated.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <set>

#include "engine/base/error.h"
#include "engine/kv/page_pool.h"

namespace headroom::test {

struct FakeSlabOwner final : SlabOwner {
  std::set<int32_t> slabs;
  std::function<bool()> refuse;

  void add_slab(int32_t slab) override {
    if (refuse && refuse()) throw Error(ErrorKind::out_of_memory, "no slab for this test");
    REQUIRE(slabs.insert(slab).second);
  }
  void remove_slab(int32_t slab) override { CHECK(slabs.erase(slab) == 1); }
};

}  // namespace headroom::test
