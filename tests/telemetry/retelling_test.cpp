// The state of a Mirror after any accepted event can be described to another Mirror, which accepts the description.
// Both then accept the same events. Checked for every field of every event: each word of an event's bytes is set to
// values at the ends of ranges.
#include <array>
#include <cstring>
#include <fstream>
#include <limits>

#include "tests/fuzz/mirror_check.h"
#include "tests/telemetry/small_stream.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Contains;

namespace retelling_test {
namespace {

std::vector<std::byte> message_of(const stream::EventT& event) {
  const std::vector<std::byte> packed = pack(event);
  return {packed.begin() + sizeof(uint32_t), packed.end()};
}

/// All kinds of events that an engine sends, rare ones too.
std::vector<stream::EventT> all_kinds_of_events(const CacheConfig& config) {
  std::vector<stream::EventT> events =
      SampleStream{.n_layers = 1, .n_kv_heads = 2, .n_tokens = 150, .n_turns = 2, .config = config}.events();
  const auto add = [&](auto body) {
    stream::EventT& event = events.emplace_back();
    event.sequence = events.size() - 1;
    event.time_ms = 1e6;
    event.body.Set(std::move(body));
  };
  add(refused_turn(9));
  add(failure());
  stream::CountedT counted;
  counted.id = 1;
  counted.n_tokens = 7;
  add(std::move(counted));
  add(load_failed(true));
  add(cleared_cache(2));
  add(load_failed(false));
  return events;
}

/// Copies of the message, each with one word replaced by one of the values.
template <typename Word, size_t n>
std::vector<std::vector<std::byte>> with_changed_words(const std::vector<std::byte>& message,
                                                       const std::array<Word, n>& values) {
  std::vector<std::vector<std::byte>> changed;
  for (size_t at = 8; at + sizeof(Word) <= message.size(); at += sizeof(Word)) {
    Word before;
    std::memcpy(&before, &message[at], sizeof(Word));
    for (const Word value : values) {
      if (value == before) continue;
      std::vector<std::byte>& it = changed.emplace_back(message);
      std::memcpy(&it[at], &value, sizeof(Word));
    }
  }
  return changed;
}

struct Counts {
  int n_taken = 0, n_refused = 0;
};

/// Applies this event in place of the next one, describes the mirror to another one, and sends later events to both.
void check_changed(const Mirror& before, const std::vector<std::byte>& message,
                   std::span<const stream::EventT> next_ones, Counts& counts) {
  Mirror mirror = before;
  try {
    mirror.apply(verify_event(message));
  } catch (const Error&) {
    ++counts.n_refused;
    return;
  }
  if (!mirror.is_open()) return;
  ++counts.n_taken;
  std::optional<Mirror> recording;
  REQUIRE_NOTHROW(recording = retold(mirror));
  if (!told_alike(*recording, mirror)) FAIL("the second telling differs");
  for (const stream::EventT& event : next_ones) {
    stream::EventT copy = event;
    copy.sequence = mirror.n_events();
    const bool is_taken = takes(mirror, verify_event(message_of(copy)));
    copy.sequence = recording->n_events();
    if (takes(*recording, verify_event(message_of(copy))) != is_taken)
      FAIL("then event " << event.sequence << " is taken in by one of them only");
  }
}

}  // namespace

TEST_CASE("every field of every event: what is taken in can be told again", "[mirror][describe]") {
  constexpr std::array<uint32_t, 7> words{0, 1, 3, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 24};
  constexpr std::array<uint64_t, 3> long_words{uint64_t{1} << 60, uint64_t{1} << 40, 0x7ff8000000000000};
  Counts counts;
  for (const char* config : {"paper", "headroom"}) {
    const std::vector<stream::EventT> events = all_kinds_of_events(*find_cache_config(config));
    Mirror mirror;
    std::array<int, static_cast<size_t>(stream::EventBody::MAX) + 1> n_of_kind{};
    for (size_t i = 0; i < events.size(); ++i) {
      const std::vector<std::byte> message = message_of(events[i]);
      // Three events of a kind cover three moments; more would add nothing.
      if (mirror.n_events() > 0 && n_of_kind[static_cast<size_t>(events[i].body.type)]++ < 3) {
        INFO(config << ", event " << i << ", " << stream::EnumNameEventBody(events[i].body.type));
        const std::span<const stream::EventT> next_ones =
            std::span(events).subspan(i + 1, std::min<size_t>(4, events.size() - i - 1));
        for (const auto& changed : with_changed_words(message, words))
          check_changed(mirror, changed, next_ones, counts);
        for (const auto& changed : with_changed_words(message, long_words))
          check_changed(mirror, changed, next_ones, counts);
      }
      mirror.apply(verify_event(message));
    }
  }
  CHECK(counts.n_taken > 5000);
  CHECK(counts.n_refused > 5000);
}

TEST_CASE("events at any moment: those that are taken in leave a state that can be told", "[mirror][describe]") {
  const std::vector<stream::EventT> events = all_kinds_of_events(*find_cache_config("paper"));
  Mirror mirror;
  Counts counts;
  for (const stream::EventT& now : events) {
    if (mirror.n_events() % 5 == 1)
      for (size_t i = 1; i < events.size(); i += 3) {
        INFO("event " << i << " before event " << now.sequence);
        stream::EventT moved = events[i];
        moved.sequence = mirror.n_events();
        check_changed(mirror, message_of(moved), {&now, 1}, counts);
      }
    apply(mirror, now);
  }
  CHECK(counts.n_taken > 50);
}

TEST_CASE("a stream that once was taken in and could not be told", "[mirror][describe]") {
  std::ifstream file(HEADROOM_TEST_DATA "/stream_retelling.bin", std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  REQUIRE(bytes.size() == 7628);
  FrameReader reader;
  reader.push(std::as_bytes(std::span(bytes)));
  Mirror mirror;
  for (auto message = reader.next(); !message.empty(); message = reader.next()) {
    try {
      const std::vector<std::byte> at_its_place = renumbered(verify_event(message), mirror.n_events());
      takes(mirror, verify_event(at_its_place));
    } catch (const Error&) {  // the message is not a valid event
    }
    if (mirror.is_open()) CHECK_NOTHROW(retold(mirror));
  }
  CHECK(mirror.is_open());
}

TEST_CASE("the prompt's tokens do not change once its answer has begun", "[mirror][describe]") {
  SmallStream s;
  s.read_prompt();
  s.send(s.token(20, "a"));
  stream::TokensT none;
  CHECK_THAT(s.refusal(none), Contains("tokens of the prompt after 1 of the answer"));
  CHECK_THAT(s.refusal(s.tokens()), Contains("tokens of the prompt after 1 of the answer"));
  CHECK(retold(s.mirror).tokens().size() == 5);
}

TEST_CASE("a cache and a conversation without messages are told too", "[mirror][describe]") {
  SmallStream s;
  s.open_model();
  s.send(s.tokens());
  s.send(s.rebuilt({0b1111, 0b1001}, {4, 2}));
  Mirror other = retold(s.mirror);
  CHECK(other.tokens().size() == 4);
  CHECK(other.kept_positions(1) == std::vector<int32_t>{0, 3});
  CHECK(other.heads()[1].profile.recovery(Policy{9}) == 0.97);
}

TEST_CASE("the largest that is taken in fits the messages that tell it", "[mirror][describe]") {
  SECTION("as many messages as there may be") {
    SmallStream s;
    s.open_model();
    stream::TurnStartedT started = s.turn_started();
    started.messages.clear();
    for (size_t i = 0; i < StreamLimits::max_messages; ++i) started.messages.push_back(s.message("user", ""));
    s.send(std::move(started));
    s.send(s.tokens());
    CHECK_THAT(s.refusal(s.token(20, "a")), Contains("the number of messages is 65537"));
    CHECK_NOTHROW(retold(s.mirror));
  }
  SECTION("text of a conversation, which bytes that are no UTF-8 make longer") {
    SmallStream s;
    s.open_model();
    stream::TurnStartedT started = s.turn_started();
    started.messages.push_back(s.message("user", std::string(StreamLimits::max_conversation_bytes / 3, '\xff')));
    CHECK_THAT(s.refusal(started), Contains("the conversation's messages have"));
    started.messages.back()->content.resize(StreamLimits::max_conversation_bytes / 3 - 200);
    s.send(started);
    s.send(s.tokens());
    for (int i = 0; i < 200; ++i) takes(s.mirror, verify_event(message_of(s.event(s.token(20, "ab")))));
    CHECK_THAT(s.refusal(s.token(20, std::string(300, 'a'))), Contains("the conversation's messages have"));
    CHECK(told_alike(retold(s.mirror), s.mirror));
  }
  SECTION("a token's text") {
    SmallStream s;
    s.read_prompt();
    CHECK_THAT(s.refusal(s.token(20, std::string((64 << 10) + 1, 'a'))), Contains("a token's text has 65537 bytes"));
    CHECK_THAT(s.refusal(s.token(20, std::string(30000, '\xff'))), Contains("a token's text has 90000 bytes"));
    s.send(s.token(20, std::string(64 << 10, 'a')));
    s.send(s.token(21, ""));
    s.send(s.token(22, "b"));
    CHECK(told_alike(retold(s.mirror), s.mirror));
  }
  SECTION("kept sets") {
    SmallStream s;
    s.say_hello();
    stream::LoadedT loaded = s.loaded();
    loaded.n_layers = 1;
    loaded.n_kv_heads = loaded.n_heads = 16384;
    loaded.windows = {0};
    loaded.n_ctx = 1 << 20;
    s.send(std::move(loaded));
    const int64_t most = StreamLimits::max_cached_tokens(16384);
    CHECK(most > 25000);
    for (int32_t position = 0; position < most; ++position) {
      stream::StepT step = s.step(position, 4, "");
      if (position % 997 == 0)
        step.evicted_heads = {static_cast<uint32_t>(position % 16384)}, step.evicted_positions = {position};
      s.send(std::move(step));
    }
    CHECK_THAT(s.refusal(s.step(static_cast<int32_t>(most), 4, "")), Contains("the position is"));
    CHECK(retold(s.mirror).n_cached() == most);
  }
}

TEST_CASE("real models of every size fit the limits", "[mirror]") {
  CHECK(StreamLimits::max_cached_tokens(80 * 8) >= 131072);   // Llama 3 70B
  CHECK(StreamLimits::max_cached_tokens(126 * 8) >= 131072);  // Llama 3 405B
  CHECK(StreamLimits::max_cached_tokens(48 * 8) >= 1000000);  // Qwen2.5 14B with a million tokens
  CHECK(StreamLimits::max_cached_tokens(96 * 96) >= 2048);    // GPT-3
  CHECK(StreamLimits::max_cached_tokens(1) == StreamLimits::max_tokens);
}

}  // namespace retelling_test
