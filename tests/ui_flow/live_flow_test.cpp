// The window with its own engine process and the default model, where a person waits for it: a long chat under a bound
// in bytes, the first example card, Stop while a hostile chat template writes the prompt.
#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>

#include "engine/base/page_layout.h"
#include "tests/desktop/desk.h"
#include "tests/support/effort.h"
#include "tests/support/model_paths.h"
#include "tests/ui_flow/stage.h"

using namespace headroom;
using namespace headroom::test;

namespace live_flow_test {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// The default model on the CPU, behind an engine process; false, and a warning, where it is not here.
bool set_up(Desk& desk) {
  const std::optional<std::string> model = find_model(smollm2_file);
  if (!model) {
    WARN("skipped: " << smollm2_file << " is not here");
    return false;
  }
  desk.options.model_path = *model;
  desk.options.backend = "cpu";
  desk.options.config = *find_cache_config("headroom");
  desk.options.sampler.temperature = 0;
  desk.options.engine_command = std::string("exec '") + HEADROOM_PROGRAM + "' engine";
  return true;
}

bool is_ready(Person& person, Desk& desk) {
  return person.until([&] { return desk.view().can_send; }, 120'000);
}

}  // namespace

TEST_CASE("a chat in the window under a bound in bytes: no turn is refused, and the bound is held", "[live]") {
  const int n_turns = runs_long_tests() ? 300 : 4;
  const CacheType type = GENERATE(CacheType::f16, CacheType::q8_0);
  Desk desk;
  if (!set_up(desk)) return;
  desk.options.max_tokens = 4;
  desk.options.config->cache_type = type;
  // 30 layers of three heads, each with five pages: the control tokens of a first turn, the first four and the last 64
  // tokens; and a tenth more.
  desk.options.config->kv_budget_bytes = 5 * 30 * 3 * static_cast<int64_t>(PageLayout{64, type}.page_bytes()) * 11 / 10;
  desk.open();
  Stage stage(source_of(*desk.controller));
  int64_t most_bytes = 0;
  const auto start = Clock::now();
  stage.act([&](Person& person) {
    REQUIRE(is_ready(person, desk));
    for (int turn = 1; turn <= n_turns; ++turn) {
      CAPTURE(turn);
      person.type("Note " + std::to_string(turn));
      person.press(Action::send);
      REQUIRE(person.until(
          [&] {
            most_bytes = std::max(most_bytes, desk->mirror().now().kv_live_bytes);
            return desk.view().can_send && std::ssize(desk.view().messages) == 2 * turn;
          },
          120'000));
      REQUIRE(desk.view().banners.empty());
    }
  });
  const int64_t bound = desk.options.config->kv_budget_bytes;
  std::printf("%d turns in the window under a bound of %lld bytes, %s: at most %lld bytes, %d tokens, %.1f s\n",
              n_turns, static_cast<long long>(bound), type == CacheType::f16 ? "f16" : "q8_0",
              static_cast<long long>(most_bytes), desk->mirror().n_cached(), ms_since(start) / 1000);
  CHECK(most_bytes <= bound);
  CHECK(most_bytes > bound / 2);
}

TEST_CASE("from the first example card to the map and the saving it takes seconds", "[live]") {
  Desk desk;
  if (!set_up(desk)) return;
  desk.options.max_tokens = 8;
  desk.open();
  Stage stage(source_of(*desk.controller));
  stage.act([&](Person& person) {
    REQUIRE(is_ready(person, desk));
    const auto start = Clock::now();
    person.click("//###transcript/**/$$0/###example");
    REQUIRE(person.until([&] { return desk->mirror().n_cached() > 0; }, 120'000));
    CHECK(person.sees("//###heads/**/###cells"));
    const MirrorSample& now = desk->mirror().now();
    const double ms = ms_since(start);
    std::printf("the first card's map and saving: after %.1f s, %d tokens, %.0f %% saved\n", ms / 1000,
                desk->mirror().n_cached(),
                100 - 100.0 * static_cast<double>(now.kv_live_bytes) / static_cast<double>(now.kv_full_bytes));
    CHECK(now.kv_live_bytes < now.kv_full_bytes * 7 / 10);
    if (!has_sanitizer) CHECK(ms < 10'000);
    REQUIRE(is_ready(person, desk));
  });
}

TEST_CASE("Stop in the window is heard while a chat template writes the prompt, and while it is tokenised", "[live]") {
  const std::string source = GENERATE(
      "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}{{ messages[-1].content }}",
      "{% if messages[-1].content != 'hi' %}{{ 'a' * 8000000 }}{% endif %}{{ messages[-1].content }}");
  Desk desk;
  if (!set_up(desk)) return;
  desk.options.chat_template = {.name = "hostile", .source = source};
  desk.open();
  Stage stage(source_of(*desk.controller));
  stage.act([&](Person& person) {
    REQUIRE(is_ready(person, desk));
    std::vector<double> ms;
    for (const int pause_ms : {20, 50, 100, 200, 300}) {
      REQUIRE(is_ready(person, desk));
      desk->send("go on");
      std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
      const auto start = Clock::now();
      person->KeyPress(ImGuiKey_Escape);
      REQUIRE(person.until([&] { return desk.view().can_send; }, 60'000));
      ms.push_back(ms_since(start));
      if (!desk.view().messages.empty()) desk->take_back_message();
      REQUIRE(is_ready(person, desk));
      stage.state.draft.clear();
      while (!desk.view().banners.empty()) desk->dismiss_banner();
    }
    std::sort(ms.begin(), ms.end());
    std::printf("Stop in the window, template %.20s…: %.0f %.0f %.0f %.0f %.0f ms\n", source.c_str(), ms[0], ms[1],
                ms[2], ms[3], ms[4]);
    if (!has_sanitizer) CHECK(ms[2] < 100);
  });
}

}  // namespace live_flow_test
