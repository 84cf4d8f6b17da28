// Sizes that all parts of the program agree on: tensor rows, pages, slot tags, the bytes of a full cache.
#include <catch2/catch.hpp>

#include "engine/base/model_config.h"
#include "engine/base/page_layout.h"
#include "engine/base/tensor.h"
#include "engine/base/types.h"

using namespace headroom;

TEST_CASE("tensor types have GGUF's numbers, names and blocks") {
  struct Row {
    uint32_t number;
    const char* name;
    int32_t values, bytes;
  };
  // From the format's definition: scales and minima in f16, then the packed values.
  const Row rows[] = {{0, "F32", 1, 4},       {1, "F16", 1, 2},       {30, "BF16", 1, 2},    {2, "Q4_0", 32, 18},
                      {3, "Q4_1", 32, 20},    {6, "Q5_0", 32, 22},    {7, "Q5_1", 32, 24},   {8, "Q8_0", 32, 34},
                      {12, "Q4_K", 256, 144}, {13, "Q5_K", 256, 176}, {14, "Q6_K", 256, 210}};
  for (const Row& row : rows) {
    const TypeTraits* traits = find_type_traits(row.number);
    REQUIRE(traits != nullptr);
    CHECK(traits->name == row.name);
    CHECK(traits->block_values == row.values);
    CHECK(traits->block_bytes == row.bytes);
    CHECK(row_bytes(static_cast<TensorType>(row.number), 512) == static_cast<size_t>(512 / row.values * row.bytes));
  }
  for (const uint32_t number : {4u, 5u, 9u, 10u, 11u, 15u, 20u, 29u, 31u, 0xffffffffu})
    CHECK(find_type_traits(number) == nullptr);
}

TEST_CASE("a slot's tag holds every position with every class") {
  for (const int32_t position : {0, 1, 4095, max_position})
    for (const TokenClass token_class : {TokenClass::plain, TokenClass::special, TokenClass::punctuation}) {
      const SlotTag tag = make_tag(position, token_class);
      CHECK(tag_position(tag) == position);
      CHECK(tag_class(tag) == token_class);
    }
}

TEST_CASE("the parts of a page follow one another without gaps, and whole pages fill a slab") {
  for (const int32_t head_dim : {2, 24, 64, 80, 128, 256, 512}) {
    const PageLayout page{head_dim};
    CHECK(page.v_offset() == static_cast<size_t>(16 * head_dim * 2));
    CHECK(page.tags_offset() == 2 * page.v_offset());
    CHECK(page.scores_offset() == page.tags_offset() + 64);
    CHECK(page.page_bytes() == page.scores_offset() + 64);
    CHECK(page.page_bytes() == 16 * page.slot_bytes());
    const size_t n_pages = static_cast<size_t>(page.pages_per_slab());
    CHECK(n_pages * page.page_bytes() <= slab_bytes);
    CHECK((n_pages + 1) * page.page_bytes() > slab_bytes);
  }
}

TEST_CASE("a page of 8 bits has 34 bytes for 32 values, the values of a part before its scales") {
  const PageLayout page{64, CacheType::q8_0};
  CHECK(page.row_bytes() == 68);        // 2 * 34
  CHECK(page.scales_offset() == 1024);  // 16 * 64 int8
  CHECK(page.v_offset() == 1088);       // and 2 * 16 scales
  CHECK(page.tags_offset() == 2176);
  CHECK(page.scores_offset() == 2240);
  CHECK(page.page_bytes() == 2304);  // f16: 4224
  CHECK(page.pages_per_slab() == 910);
  CHECK(page.slot_bytes() == 144);
  CHECK(page.slot_row_u16s() == 68);             // K and V, 136 bytes
  CHECK(PageLayout{64}.slot_row_u16s() == 128);  // f16: 256 bytes
  for (const int32_t head_dim : {32, 96, 128, 256}) {
    const PageLayout other{head_dim, CacheType::q8_0};
    CHECK(other.is_possible());
    CHECK(other.row_bytes() == static_cast<size_t>(head_dim / 32 * 34));
    CHECK(other.page_bytes() == 16 * other.slot_bytes());
    CHECK(other.v_offset() % 32 == 0);
    CHECK(other.tags_offset() % 64 == 0);
  }
  for (const int32_t head_dim : {16, 24, 80}) {
    CHECK_FALSE(PageLayout{head_dim, CacheType::q8_0}.is_possible());
    CHECK(PageLayout{head_dim}.is_possible());
  }
}

TEST_CASE("a full cache is two f16 rows a token, layer and KV head, at most what a window still reaches") {
  ModelConfig config;
  config.n_kv_heads = 3;
  config.head_dim = 64;
  config.layers.resize(2);
  CHECK(full_kv_bytes(config, 100) == 2 * (100 + 100) * 3 * 64 * 2);
  config.layers[0].window = 24;
  CHECK(full_kv_bytes(config, 10) == 2 * (10 + 10) * 3 * 64 * 2);
  CHECK(full_kv_bytes(config, 100) == 2 * (23 + 100) * 3 * 64 * 2);
  CHECK(reachable_tokens(100, 24) == 23);
  CHECK(reachable_tokens(23, 24) == 23);
  CHECK(reachable_tokens(5, 24) == 5);
  CHECK(reachable_tokens(5, 0) == 5);
}
