// A small trace costs the replay little, whatever sizes it claims: under 256 MiB and 2 seconds for any file of less
// than 2 MiB. Each case fills 1 MiB with the smallest event that once was expensive.
#include <cstdio>
#include <ctime>
#include <fstream>
#include <functional>

#include "app/desktop/replay.h"
#include "engine/base/error.h"
#include "engine/base/platform/platform.h"
#include "tests/support/effort.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/sample_stream.h"
#include "tests/telemetry/small_stream.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Contains;

namespace {

constexpr int32_t n_heads = static_cast<int32_t>(StreamLimits::max_heads);
constexpr size_t file_bytes = size_t{1} << 20;

/// Collects events until the file has its size.
class TraceOfOneMiB {
 public:
  TraceOfOneMiB() { add(SmallStream::hello()); }

  template <typename Body>
  TraceOfOneMiB& add(Body body) {
    stream::EventT& event = events_.emplace_back();
    event.sequence = events_.size() - 1;
    event.body.Set(std::move(body));
    n_bytes_ += pack(event).size() + 4;
    return *this;
  }
  bool has_room() const { return n_bytes_ < file_bytes; }
  size_t n_events() const { return events_.size(); }

  static stream::LoadedT model() {
    stream::LoadedT loaded = SmallStream::loaded();
    loaded.n_layers = 1;
    loaded.n_kv_heads = loaded.n_heads = n_heads;
    loaded.windows = {0};
    loaded.n_ctx = 1 << 24;
    return loaded;
  }

  /// Opens the trace, seeks to its begin and its end, and checks memory and time.
  void check_cost() const {
    const std::string path = temporary_path("cost.hrtrace");
    {
      const std::vector<std::byte> bytes = trace_bytes(events_);
      std::ofstream(path, std::ios::binary)
          .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    const int64_t before = resident_bytes();
    const std::clock_t start = std::clock();  // processor time: other programs do not count
    Replay replay(path);
    replay.replay_seek(0);
    replay.replay_seek(replay.n_moments() / 2);
    replay.go_to_end();
    CHECK(replay.mirror().heads().size() <= n_heads);
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    std::remove(path.c_str());
    INFO(events_.size() << " events: " << seconds << " s, " << ((resident_bytes() - before) >> 20) << " MiB");
    // The thread sanitizer stores additional data for each byte.
    constexpr int64_t max_bytes = int64_t{test::has_thread_sanitizer ? 1024 : 256} << 20;
    CHECK(resident_bytes() - before < max_bytes);
    CHECK(seconds < 20);  // 0.01 to 0.2 s alone
    CHECK(replay.view().banners.empty());
  }

 private:
  std::vector<stream::EventT> events_;
  size_t n_bytes_ = 0;
};

}  // namespace

TEST_CASE("replay: many heads and many steps", "[replay][cost]") {
  TraceOfOneMiB trace;
  trace.add(TraceOfOneMiB::model());
  for (int32_t position = 0; trace.has_room(); ++position) trace.add(SmallStream::step(position, 4, ""));
  trace.check_cost();
}

TEST_CASE("replay: many heads, each with one late eviction", "[replay][cost]") {
  TraceOfOneMiB trace;
  trace.add(TraceOfOneMiB::model());
  for (int32_t position = 0, head = 0; trace.has_room(); ++position) {
    stream::StepT step = SmallStream::step(position, 4, "");
    for (int i = 0; i < 8 && position > 100; ++i, head = (head + 1) % n_heads) {
      step.evicted_heads.push_back(static_cast<uint32_t>(head));
      step.evicted_positions.push_back(position - i);
    }
    trace.add(std::move(step));
  }
  trace.check_cost();
}

TEST_CASE("replay: a model of many heads, opened again and again", "[replay][cost]") {
  TraceOfOneMiB trace;
  while (trace.has_room()) {
    trace.add(TraceOfOneMiB::model());
    stream::StepT step = SmallStream::step(0, 4, "");
    step.evicted_heads = {5};
    step.evicted_positions = {0};
    trace.add(std::move(step));
  }
  trace.check_cost();
}

TEST_CASE("replay: the cache of many heads, cut again and again", "[replay][cost]") {
  TraceOfOneMiB trace;
  trace.add(TraceOfOneMiB::model());
  for (int32_t position = 0; position < 2000; ++position) trace.add(SmallStream::step(position, 4, ""));
  for (int32_t head = 0; trace.has_room(); head = (head + 1) % n_heads) {
    stream::StepT step = SmallStream::step(2000, 4, "");
    step.evicted_heads = {static_cast<uint32_t>(head)};
    step.evicted_positions = {head % 2000};
    stream::TokensT none;
    none.first_position = 2000;
    trace.add(std::move(step)).add(std::move(none));
  }
  trace.check_cost();
}

TEST_CASE("replay: a long text, looked through for every new message", "[replay][cost]") {
  TraceOfOneMiB trace;
  trace.add(SmallStream::loaded());
  stream::TokensT tokens;
  for (uint32_t i = 1; i <= 8; ++i) {
    tokens.ids.push_back(4);
    tokens.classes.push_back(0);
    tokens.ends.push_back(i * 60000);
  }
  tokens.text.assign(480000, 'a');
  trace.add(std::move(tokens));
  while (trace.has_room()) {
    stream::TurnStartedT started = SmallStream::turn_started();
    started.n_prompt_tokens = 8;
    started.messages[0]->content = "aab";
    trace.add(std::move(started)).add(refused_turn(7));
  }
  trace.check_cost();
}

TEST_CASE("replay: one message named many times", "[replay][cost]") {
  TraceOfOneMiB trace;
  trace.add(SmallStream::loaded());
  stream::TurnStartedT started = SmallStream::turn_started();
  for (size_t i = 0; i < 8000; ++i) started.messages.push_back(SmallStream::message("", ""));
  trace.add(started).add(refused_turn(7)).add(SmallStream::step(0, 1, ""));
  stream::TurnStartedT next = SmallStream::turn_started();
  next.n_messages_kept = static_cast<int32_t>(started.messages.size());
  for (int i = 0; i < 5000 && trace.has_room(); ++i) {
    next.messages.clear();
    stream::TokensT none;
    trace.add(next).add(refused_turn(7)).add(none);
  }
  trace.check_cost();
}

TEST_CASE("replay: more heads than any model has are refused in a sentence", "[replay][cost]") {
  TraceOfOneMiB trace;
  stream::LoadedT loaded = TraceOfOneMiB::model();
  loaded.n_kv_heads = loaded.n_heads = 65536;
  trace.add(std::move(loaded));
  CHECK_THROWS_WITH(trace.check_cost(), Contains("n_kv_heads is 65536; expected 1 to 16384"));
}

TEST_CASE("replay: going back comes to the same state as going there", "[replay]") {
  const std::string path = temporary_path("cost.hrtrace");
  SampleStream{.n_layers = 2, .n_kv_heads = 2, .n_tokens = 3000, .n_turns = 2}.write_trace(path);
  Replay there(path), back(path);
  std::remove(path.c_str());
  there.replay_seek(0);
  for (const int32_t moment : {0, 7, there.n_moments() / 3, there.n_moments() / 2, there.n_moments() - 2}) {
    there.replay_seek(moment);
    back.go_to_end();
    back.replay_seek(moment);
    REQUIRE(there.mirror().n_events() == back.mirror().n_events());
    CHECK(there.mirror().token_text() == back.mirror().token_text());
    for (int32_t head = 0; head < 4; ++head) CHECK(there.mirror().kept_bits(head) == back.mirror().kept_bits(head));
  }
}
