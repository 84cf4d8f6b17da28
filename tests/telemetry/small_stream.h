// A stream small enough to compute by hand: two layers of one KV head, pages of two slots, five-token conversations.
// Tests give only an event's body; sequence and time are filled in.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "tests/support/sample_stream.h"

namespace headroom::test {

class SmallStream {
 public:
  Mirror mirror;

  /// The next event with this body, not applied yet.
  template <typename Body>
  stream::EventT event(Body body) const {
    stream::EventT event;
    event.sequence = mirror.n_events();
    event.time_ms = 10.0 * static_cast<double>(mirror.n_events());
    event.body.Set(std::move(body));
    return event;
  }
  template <typename Body>
  void send(Body body) {
    apply(mirror, event(std::move(body)));
  }
  /// Applies an event. Returns the sentence of a refusal, and checks that nothing changed; empty if it was accepted.
  template <typename Body>
  std::string refusal(Body body) {
    const stream::EventT refused = event(std::move(body));
    const uint64_t version = mirror.version(), n_events = mirror.n_events();
    try {
      apply(mirror, refused);
    } catch (const Error& error) {
      CHECK(mirror.version() == version);
      CHECK(mirror.n_events() == n_events);
      return error.what();
    }
    return {};
  }

  void say_hello() { send(hello()); }
  void open_model() {
    say_hello();
    send(loaded());
  }
  /// Prefills "<s>Hi, you": head 0 holds all four tokens, head 1 the first and the last.
  void read_prompt() {
    open_model();
    send(turn_started());
    send(tokens());
    send(rebuilt({0b1111, 0b1001}, {4, 2}));
  }

  static stream::HelloT hello() {
    stream::HelloT hello;
    hello.protocol = stream_protocol;
    return hello;
  }
  static stream::LoadedT loaded() {
    stream::LoadedT loaded;
    loaded.model_name = "small";
    loaded.n_layers = 2;
    loaded.n_heads = 3;
    loaded.n_kv_heads = 1;
    loaded.head_dim = 4;
    loaded.n_vocab = 100;
    loaded.n_ctx = 50;
    loaded.n_ctx_train = 50;
    loaded.windows = {0, 8};
    loaded.page_tokens = 2;
    loaded.page_bytes = 64;
    loaded.config = config();
    return loaded;
  }
  static std::unique_ptr<stream::CacheConfigT> config() {
    return std::make_unique<stream::CacheConfigT>(to_stream(*find_cache_config("paper")));
  }
  static std::unique_ptr<stream::MessageT> message(const std::string& role, const std::string& content) {
    auto message = std::make_unique<stream::MessageT>();
    message->role = role;
    message->content = content;
    return message;
  }
  static stream::TurnStartedT turn_started() {
    stream::TurnStartedT started;
    started.turn_id = 7;
    started.action = "first_turn";
    started.reason = "the cache was empty";
    started.messages.push_back(message("user", "Hi, you"));
    started.n_prompt_tokens = 4;
    return started;
  }
  static stream::TokensT tokens() {
    stream::TokensT tokens;
    tokens.ids = {1, 10, 11, 12};
    tokens.classes = {1, 0, 2, 0};
    const std::string text = "<s>Hi, you";
    tokens.text.assign(text.begin(), text.end());
    tokens.ends = {3, 5, 6, 10};
    return tokens;
  }
  static std::unique_ptr<stream::SnapshotT> snapshot(int32_t n_tokens, std::vector<int32_t> lengths) {
    auto snapshot = std::make_unique<stream::SnapshotT>();
    snapshot->n_tokens = n_tokens;
    for (const int32_t length : lengths) {
      snapshot->pages.push_back((length + 1) / 2);
      snapshot->kv_live_bytes += 64 * snapshot->pages.back();
    }
    snapshot->kv_full_bytes = 32 * n_tokens;
    snapshot->kv_pool_bytes = 4096;
    snapshot->kv_peak_bytes = 5000;
    snapshot->turn_log_bytes = 17;
    snapshot->resident_bytes = 100000;
    snapshot->lengths = std::move(lengths);
    return snapshot;
  }
  /// A CacheRebuilt of four tokens, with one byte of kept bits per head.
  static stream::CacheRebuiltT rebuilt(std::vector<uint8_t> kept, std::vector<int32_t> lengths, int32_t n_tokens = 4) {
    stream::CacheRebuiltT rebuilt;
    rebuilt.snapshot = snapshot(n_tokens, std::move(lengths));
    rebuilt.config = config();
    rebuilt.policies = {Policy::full, Policy::special | Policy::local};
    rebuilt.recoveries.assign(64, 0.5);
    rebuilt.recoveries[32 + 9] = 0.97;
    rebuilt.kept = std::move(kept);
    return rebuilt;
  }
  static stream::StepT step(int32_t position, int32_t id, const std::string& text) {
    stream::StepT step;
    step.position = position;
    step.id = id;
    step.text.assign(text.begin(), text.end());
    return step;
  }
  static stream::TokenT token(int32_t id, const std::string& text) {
    stream::TokenT token;
    token.turn_id = 7;
    token.id = id;
    token.text = text;
    return token;
  }
  static stream::TurnFinishedT finished(std::vector<int32_t> ids, const std::string& text) {
    stream::TurnFinishedT finished;
    finished.turn_id = 7;
    finished.stop_reason = "end_of_turn";
    finished.ids = std::move(ids);
    finished.text = text;
    finished.n_prompt_tokens = 4;
    finished.n_prefilled_tokens = 4;
    finished.prefill_ms = 2;
    finished.generate_ms = 30;
    finished.generate_tokens_per_s = 66.5;
    return finished;
  }
};

}  // namespace headroom::test
