// The memory panel: the points of its lines, and drawing at any size.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/ui/ui_fixture.h"
#include "ui/memory_panel.h"

using namespace headroom;
using test::UiFixture;

namespace {

MirrorSample sample(double time_ms, int32_t n_tokens, int64_t live) {
  return {.time_ms = time_ms,
          .n_tokens = n_tokens,
          .kv_live_bytes = live,
          .kv_full_bytes = 2 * live,
          .kv_pool_bytes = 3 * live};
}

}  // namespace

TEST_CASE("memory lines: each sample is a point, in the unit asked for", "[memory]") {
  const std::vector<MirrorSample> history{sample(100, 10, 1024), sample(200, 20, 2048)};
  const MemoryLines lines = memory_lines(history, MemoryAxis::tokens, 100, 1024);
  CHECK(lines.x == std::vector<double>{10, 20});
  CHECK(lines.live == std::vector<double>{1, 2});
  CHECK(lines.full == std::vector<double>{2, 4});
  CHECK(lines.pool == std::vector<double>{3, 6});
  CHECK(memory_lines(history, MemoryAxis::time, 100, 1024).x == std::vector<double>{0, 0.1});
}

TEST_CASE("memory lines: over tokens what was taken back goes, and what came before it stays", "[memory]") {
  const std::vector<MirrorSample> history{sample(0, 10, 5), sample(1000, 300, 9), sample(2000, 40, 3),
                                          sample(3000, 50, 4)};
  CHECK(memory_lines(history, MemoryAxis::tokens, 100, 1).x == std::vector<double>{10, 40, 50});
  CHECK(memory_lines(history, MemoryAxis::time, 100, 1).x == std::vector<double>{0, 1, 2, 3});
}

TEST_CASE("memory lines: 100,000 samples become what the pixels can show, peaks and the end included", "[memory]") {
  std::vector<MirrorSample> history;
  for (int32_t i = 0; i < 100'000; ++i) history.push_back(sample(i, i, 1000 + i % 7));
  history[54'321].kv_live_bytes = 1'000'000;
  const MemoryLines lines = memory_lines(history, MemoryAxis::tokens, 500, 1);
  CHECK(lines.x.size() <= 2 * 501 + 1);
  CHECK(*std::max_element(lines.live.begin(), lines.live.end()) == 1'000'000);
  CHECK(lines.x.back() == 99'999);
  CHECK(std::is_sorted(lines.x.begin(), lines.x.end()));
}

TEST_CASE("memory lines: nothing, one sample, and samples at one place", "[memory]") {
  CHECK(memory_lines({}, MemoryAxis::tokens, 10, 1).x.empty());
  const std::vector<MirrorSample> same{sample(5, 7, 1), sample(6, 7, 9), sample(7, 7, 4)};
  CHECK(memory_lines(std::span(same).first(1), MemoryAxis::tokens, 10, 1).live == std::vector<double>{1});
  CHECK(memory_lines(same, MemoryAxis::tokens, 10, 1).live == std::vector<double>{1, 9, 4});
}

TEST_CASE("memory panel: both axes, every size and zoom, with and without a model", "[memory]") {
  UiFixture ui("memory");
  ui.frames(2);
  test::SampleStream{}.apply_to(ui.mirror);
  ui.act([&](ImGuiTestContext& person) {
    person.ItemClick("//###memory/###over_time");
    person.Yield(2);
    person.ItemClick("//###memory/###over_tokens");
  });
  for (const float zoom : {0.5f, 3.0f}) {
    ui.state.zoom = zoom;
    ui.frames(3);
  }
}
