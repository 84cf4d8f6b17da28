// A recording of the window's stream, started at any moment, replays as what the window showed.
#include <fstream>

#include "app/desktop/replay.h"
#include "engine/base/error.h"
#include "tests/desktop/desk.h"

using namespace headroom;
using namespace headroom::test;

namespace {

void check_same(const Mirror& a, const Mirror& b) {
  REQUIRE(a.messages().size() == b.messages().size());
  for (size_t i = 0; i < a.messages().size(); ++i) {
    CHECK(a.messages()[i].role == b.messages()[i].role);
    CHECK(a.messages()[i].content == b.messages()[i].content);
    CHECK(a.messages()[i].token_begin == b.messages()[i].token_begin);
    CHECK(a.messages()[i].token_end == b.messages()[i].token_end);
  }
  CHECK(a.token_text() == b.token_text());
  CHECK(a.n_cached() == b.n_cached());
  REQUIRE(a.heads().size() == b.heads().size());
  for (size_t head = 0; head < a.heads().size(); ++head) {
    CHECK(a.kept_positions(static_cast<int32_t>(head)) == b.kept_positions(static_cast<int32_t>(head)));
    CHECK(a.heads()[head].policy == b.heads()[head].policy);
    CHECK(a.heads()[head].pages == b.heads()[head].pages);
  }
  CHECK(a.now().kv_live_bytes == b.now().kv_live_bytes);
  CHECK(a.now().n_tokens == b.now().n_tokens);
}

void check_replay_equals_window(const std::string& path, const Desk& desk) {
  const Replay replay(path);
  CHECK(replay.view().banners.empty());
  check_same(replay.mirror(), desk.controller->mirror());
  REQUIRE(replay.view().messages.size() == desk.view().messages.size());
  for (size_t i = 0; i < desk.view().messages.size(); ++i)
    CHECK(replay.view().messages[i].content == desk.view().messages[i].content);
}

}  // namespace

TEST_CASE("a recording replays as what the window showed") {
  Desk desk("--tokens-per-second 500");
  desk.options.system_prompt = GENERATE("", "be brief");
  desk.open_and_load();
  const bool with_system_prompt = !desk.options.system_prompt.empty();
  SECTION("from before the first message") {
    desk->start_recording();
  }
  SECTION("from the middle of a conversation") {
    desk.say("first");
    desk->start_recording();
  }
  SECTION("from the middle of an answer") {
    desk->send("first");
    REQUIRE(desk.until([&] { return desk.has_answer_of(40); }));
    desk->start_recording();
    REQUIRE(desk.until([&] { return desk.view().can_send; }));
  }
  REQUIRE(desk.view().is_recording);
  const std::string path = desk.view().recording_path;
  desk.say("second");
  desk->regenerate();
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  desk->apply_config(*find_cache_config("h2o"));
  REQUIRE(desk.until([&] { return desk->mirror().config().name == "h2o" && desk.view().can_send; }));
  desk.say("third");
  desk->stop_recording();
  CHECK_FALSE(desk.view().is_recording);
  CHECK(desk.has_banner(path));
  if (with_system_prompt) {
    check_same(Replay(path).mirror(), desk->mirror());
  } else {
    check_replay_equals_window(path, desk);
  }
}

TEST_CASE("two recordings within a second are two files") {
  Desk desk;
  desk.open_and_load();
  desk->start_recording();
  const std::string first = desk.view().recording_path;
  desk->stop_recording();
  desk->start_recording();
  CHECK(desk.view().recording_path != first);
  CHECK(desk.view().is_recording);
}

TEST_CASE("a recording ends with the engine, whole, and where it cannot be written it says so") {
  Desk desk;
  SECTION("with the engine") {
    desk.options.engine_command =
        fake_engine("--tokens-per-second 500 --crash-after 8 --once '" + (desk.folder / "once") + "'");
    desk.open_and_load();
    desk->start_recording();
    const std::string path = desk.view().recording_path;
    desk->send("hello");
    REQUIRE(desk.until([&] { return !desk.view().is_recording; }));
    Replay replay(path);
    CHECK(replay.view().banners.empty());
    REQUIRE(replay.view().messages.size() == 2);
    CHECK(replay.view().messages[1].content == desk.view().messages[1].content);
  }
  SECTION("no folder for it") {
    std::ofstream(desk.folder / "recordings") << "in the way";
    desk.open_and_load();
    desk->start_recording();
    CHECK_FALSE(desk.view().is_recording);
    CHECK(desk.has_banner("Could not record"));
  }
}

TEST_CASE("a replay goes to any moment, and is there what the stream was") {
  Desk desk;
  desk.open_and_load();
  desk->start_recording();
  const std::string path = desk.view().recording_path;
  desk.say("one two three");
  desk.say("four five");
  desk->stop_recording();

  Replay replay(path);
  const Replay whole(path);
  const int32_t n = replay.n_moments();
  REQUIRE(n > 30);
  CHECK(replay.view().replay->moment == n - 1);
  for (const int32_t moment : {0, 5, n - 1, 3, 17, 16, n / 2, 0, n - 1}) {
    replay.replay_seek(moment);
    CHECK(replay.view().replay->moment == moment);
    CHECK(replay.mirror().now().n_tokens == replay.mirror().n_cached());
  }
  check_same(replay.mirror(), whole.mirror());
  replay.go_to_token(20);
  CHECK(replay.mirror().n_cached() == 20);
  replay.replay_seek(-5);
  CHECK(replay.view().replay->moment == 0);
  replay.replay_seek(1 << 30);
  CHECK(replay.view().replay->moment == n - 1);
  CHECK_THROWS_AS(replay.go_to_token(1 << 20), Error);

  SECTION("it plays to the end and stops there") {
    replay.replay_speed(100);
    replay.replay_play_or_pause();
    CHECK(replay.view().replay->moment == 0);
    for (int i = 0; i < 5000 && replay.view().replay->is_playing; ++i) {
      replay.poll();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    CHECK_FALSE(replay.view().replay->is_playing);
    CHECK(replay.view().replay->moment == n - 1);
    CHECK_FALSE(replay.poll());
  }
  SECTION("what belongs to an engine does nothing") {
    replay.send("hello");
    replay.regenerate();
    replay.stop();
    CHECK_FALSE(replay.view().can_send);
    check_same(replay.mirror(), whole.mirror());
  }
}

TEST_CASE("a damaged trace shows what came before, a foreign file is refused with a sentence") {
  Desk desk;
  desk.open_and_load();
  desk->start_recording();
  const std::string path = desk.view().recording_path;
  desk.say("hello");
  desk->stop_recording();
  const auto n_bytes = std::filesystem::file_size(path);
  SECTION("cut off") {
    std::filesystem::resize_file(path, n_bytes * 3 / 4);
    const Replay replay(path);
    REQUIRE(replay.view().banners.size() == 1);
    CHECK(replay.view().banners[0].text.find("what came before is shown") != std::string::npos);
    CHECK(replay.view().messages.size() == 2);
  }
  SECTION("cut off before anything was read") {
    std::filesystem::resize_file(path, 200);
    CHECK_THROWS_AS(Replay(path), Error);
  }
  SECTION("another file") {
    std::ofstream(path, std::ios::trunc) << "a text";
    CHECK_THROWS_WITH(Replay(path), Catch::Contains("not a trace"));
  }
}
