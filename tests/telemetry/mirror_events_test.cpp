// A recording that starts in the middle: the events that describe a Mirror give another Mirror the same state.
#include "engine/telemetry/mirror_events.h"

#include "tests/telemetry/small_stream.h"

using namespace headroom;
using namespace headroom::test;

namespace mirror_events_test {
namespace {

Mirror retold(const Mirror& mirror) {
  Mirror other;
  for (const stream::EventT& event : describe(mirror)) apply(other, event);
  return other;
}

void check_same(const Mirror& a, const Mirror& b) {
  CHECK(a.model()->name == b.model()->name);
  CHECK(a.token_text() == b.token_text());
  REQUIRE(a.messages().size() == b.messages().size());
  for (size_t i = 0; i < a.messages().size(); ++i) {
    CHECK(a.messages()[i].role == b.messages()[i].role);
    CHECK(a.messages()[i].content == b.messages()[i].content);
    CHECK(a.messages()[i].ids == b.messages()[i].ids);
    CHECK(a.messages()[i].token_begin == b.messages()[i].token_begin);
    CHECK(a.messages()[i].token_end == b.messages()[i].token_end);
  }
  CHECK(a.n_cached() == b.n_cached());
  REQUIRE(a.heads().size() == b.heads().size());
  for (size_t head = 0; head < a.heads().size(); ++head) {
    CHECK(a.kept_positions(static_cast<int32_t>(head)) == b.kept_positions(static_cast<int32_t>(head)));
    CHECK(a.heads()[head].policy == b.heads()[head].policy);
    CHECK(a.heads()[head].profile.recoveries == b.heads()[head].profile.recoveries);
    CHECK(a.heads()[head].pages == b.heads()[head].pages);
    CHECK(a.heads()[head].budget == b.heads()[head].budget);
  }
  CHECK(a.config() == b.config());
  CHECK(a.cache_note() == b.cache_note());
  CHECK(a.model()->page_bytes == b.model()->page_bytes);
  CHECK(a.now().kv_live_bytes <= b.now().kv_live_bytes);  // pages of steps behind the last Snapshot are in the second
  CHECK(a.now().kv_pool_bytes == b.now().kv_pool_bytes);
  CHECK(a.turn().has_value() == b.turn().has_value());
}

}  // namespace

TEST_CASE("a mirror told to another one, at every moment of a conversation", "[mirror][describe]") {
  CacheConfig headroom = *find_cache_config("headroom");
  headroom.cache_type = CacheType::q8_0;
  for (const CacheConfig& config : {*find_cache_config("paper"), headroom}) {
    SampleStream sample{.n_layers = 2, .n_kv_heads = 2, .n_tokens = 200, .n_turns = 2, .config = config};
    sample.has_table = false;  // so that there is a note
    Mirror mirror;
    int n_checked = 0;
    sample.send_to([&](const stream::EventT& event) {
      apply(mirror, event);
      if (mirror.model() == nullptr || mirror.n_events() % 7 != 0) return;
      INFO("after event " << mirror.n_events());
      Mirror other = retold(mirror);
      check_same(mirror, other);
      ++n_checked;
    });
    CHECK(n_checked > 20);
  }
}

TEST_CASE("the stream goes on behind what was told", "[mirror][describe]") {
  Mirror mirror, other;
  const std::vector<stream::EventT> events = SampleStream{.n_tokens = 400, .n_turns = 2}.events();
  size_t n = 0;
  while (mirror.turn() == std::nullopt || mirror.turn()->n_generated < 20) apply(mirror, events[n++]);
  for (const stream::EventT& event : describe(mirror)) apply(other, event);
  for (; n < events.size(); ++n) {
    apply(mirror, events[n]);
    stream::EventT renumbered = events[n];
    renumbered.sequence = other.n_events();
    apply(other, renumbered);
  }
  check_same(mirror, other);
}

}  // namespace mirror_events_test
