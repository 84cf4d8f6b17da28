// The sample stream is one that an engine could send: the Mirror, which refuses contradictions, accepts all of it.
#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>

#include "tests/support/sample_stream.h"

using namespace headroom;
using namespace headroom::test;

TEST_CASE("the mirror takes a sample stream and knows its numbers", "[sample]") {
  const SampleStream sample{.n_layers = 3, .n_kv_heads = 2, .n_tokens = 600, .n_turns = 3, .seed = 7};
  Mirror mirror;
  sample.apply_to(mirror);
  REQUIRE(mirror.model() != nullptr);
  CHECK(mirror.heads().size() == 6);
  CHECK(mirror.messages().size() == 7);
  CHECK(mirror.tokens().size() >= 600);
  CHECK(mirror.tokens().size() < 1000);
  CHECK(mirror.n_cached() + 1 == static_cast<int32_t>(mirror.tokens().size()));
  CHECK_FALSE(mirror.turn().has_value());
  CHECK(mirror.last_turn()->stop_reason == "end_of_turn");
  CHECK(mirror.now().kv_live_bytes > 0);
  CHECK(mirror.now().kv_live_bytes < 2 * mirror.now().kv_full_bytes);
  CHECK(mirror.has_profile());
}

TEST_CASE("a sample with budgets: each head holds its budget after a prompt, all together the share", "[sample]") {
  for (const char* name : {"headroom", "uniform", "snapkv", "adakv"}) {
    INFO(name);
    const CacheConfig config = *find_cache_config(name);
    Mirror mirror;
    for (const stream::EventT& event : SampleStream{.n_layers = 3, .n_kv_heads = 2, .config = config}.events()) {
      apply(mirror, event);
      if (mirror.n_cached() > 0) break;
    }
    REQUIRE(mirror.n_cached() > 100);
    int64_t n_kept = 0;
    for (const MirrorHead& head : mirror.heads()) {
      CHECK(head.kept_tokens == head.budget.tokens);
      CHECK(head.budget.of_tokens == mirror.n_cached());
      n_kept += head.kept_tokens;
    }
    // `pooled` rounds the share of every head.
    CHECK(std::abs(static_cast<double>(n_kept) - config.keep * mirror.n_cached() * 6) <= 3);
    CHECK(mirror.config().head_importance.size() == (config.importance == ImportanceKind::calibrated ? 6u : 0u));
    SampleStream{.n_layers = 3, .n_kv_heads = 2, .config = config}.apply_to(mirror = Mirror());
    CHECK(mirror.last_turn()->stop_reason == "end_of_turn");
  }
}

TEST_CASE("every message of a sample is found among the tokens, byte by byte", "[sample]") {
  Mirror mirror;
  SampleStream{.n_tokens = 3000, .n_turns = 4, .seed = 2}.apply_to(mirror);
  for (const MirrorMessage& message : mirror.messages()) {
    INFO(message.role << ": " << message.content);
    REQUIRE(message.token_begin >= 0);
    std::string content;
    for (int32_t p = message.token_begin; p < message.token_end; ++p) {
      const auto [begin, end] = mirror.content_bytes_of(message, p);
      CHECK(message.content.substr(begin, end - begin) == mirror.text_of(p));
      content += mirror.text_of(p);
    }
    CHECK(content == message.content);
  }
}

TEST_CASE("the same numbers give the same sample, another seed another one", "[sample]") {
  const auto bytes = [](uint64_t seed) {
    return trace_bytes(SampleStream{.n_layers = 2, .n_kv_heads = 2, .n_tokens = 300, .seed = seed}.events());
  };
  CHECK(bytes(1) == bytes(1));
  CHECK(bytes(1) != bytes(2));
}

TEST_CASE("a sample can end in the middle of a prompt or of an answer", "[sample]") {
  SampleStream sample{.n_tokens = 400, .n_turns = 2, .end = SampleEnd::prefilling};
  Mirror prefilling;
  sample.apply_to(prefilling);
  REQUIRE(prefilling.turn().has_value());
  CHECK_FALSE(prefilling.turn()->is_generating);
  CHECK(prefilling.turn()->prefill_fraction == 0.5);
  CHECK(prefilling.messages().back().role == "user");

  sample.end = SampleEnd::answering;
  Mirror answering;
  sample.apply_to(answering);
  REQUIRE(answering.turn().has_value());
  CHECK(answering.turn()->is_generating);
  CHECK(answering.messages().back().role == "assistant");
  CHECK(static_cast<int32_t>(answering.messages().back().ids.size()) == answering.turn()->n_generated);
}

TEST_CASE("100,000 tokens of 1,024 heads are taken in within seconds", "[sample][speed]") {
  using Clock = std::chrono::steady_clock;
  Mirror mirror;
  Clock::duration in_mirror{};
  const SampleStream sample{.n_layers = 32, .n_kv_heads = 32, .n_tokens = 100000, .n_turns = 4};
  sample.send_to([&](const stream::EventT& event) {
    const std::vector<std::byte> packed = pack(event);
    const std::vector<std::byte> bytes(packed.begin() + sizeof(uint32_t), packed.end());
    const auto start = Clock::now();
    mirror.apply(verify_event(bytes));
    in_mirror += Clock::now() - start;
  });
  CHECK(mirror.tokens().size() >= 100000);
  const double seconds = std::chrono::duration<double>(in_mirror).count();
  INFO(seconds << " s");
  CHECK(seconds < 60);  // 0.6 s on an idle machine; the rest is for load and sanitizers
}
