// The engine does what the policy panel predicts from the recoveries of one prompt.
#include <catch2/catch.hpp>

#include "engine/backend/registry.h"
#include "engine/run/model.h"
#include "engine/run/session.h"
#include "engine/serve/session_events.h"
#include "engine/telemetry/mirror.h"
#include "engine/telemetry/stream.h"
#include "tests/support/effort.h"
#include "tests/support/model_paths.h"
#include "ui/what_if.h"

using namespace headroom;

namespace {

/// A session whose events a Mirror follows.
struct MirroredSession {
  explicit MirroredSession(const std::string& path)
      : model(path),
        backend(make_backend({})),
        session(model, *backend, {.cache = find_cache_config("paper").value(), .n_ctx = 1024}),
        events(model, session, [this](stream::EventBodyUnion body) { take(std::move(body)); }) {
    take(hello_event("test"));
    events.tell_loaded({});
  }

  void take(stream::EventBodyUnion body) {
    stream::EventT event;
    event.sequence = n_events++;
    event.body = std::move(body);
    frames.push(pack(event));
    mirror.apply(verify_event(frames.next()));
  }

  Model model;
  std::unique_ptr<Backend> backend;
  Session session;
  Mirror mirror;
  FrameReader frames;
  uint64_t n_events = 0;
  SessionEvents events;
};

constexpr const char* prompt =
    "The lighthouse stood on a small island, two miles from the harbour. Every evening the keeper climbed the hundred "
    "and twelve steps, cleaned the lens, and lit the lamp. He wrote the weather into a book: wind from the west, waves "
    "of two metres, rain before midnight. What did the keeper do?";

}  // namespace

TEST_CASE("what if: after one prompt, policies, tokens and bytes are those of the re-encoded cache", "[what_if]") {
  const auto path = test::find_model(test::smollm2_file);
  if (!path) {
    WARN("skipped: no " << test::smollm2_file);
    return;
  }
  MirroredSession it(*path);
  TurnObserver silent;
  TurnOptions read_only;
  read_only.max_tokens = 0;
  it.events.run_turn(1, {{.role = "user", .content = prompt, .ids = {}}}, read_only, silent);

  CacheConfig config = find_cache_config("paper").value();
  for (const double threshold : {0.5, 0.8, 0.9, 0.99, 1.01}) {
    for (const char* name : {"paper", "paper-no-punct", "paper-no-frequent"}) {
      if (test::has_sanitizer && (threshold != 0.9 || name != std::string_view("paper"))) continue;
      CAPTURE(threshold, name);
      config = find_cache_config(name).value();
      config.threshold = threshold;
      CHECK(what_if_trust(it.mirror, config).is_exact);
      const WhatIf promised = what_if(*it.mirror.model(), it.mirror.tokens(), it.mirror.heads(), config);
      it.session.set_cache_config(config);
      it.events.re_encode(2, silent);
      REQUIRE(promised.policies.size() == it.mirror.heads().size());
      for (size_t head = 0; head < promised.policies.size(); ++head) {
        CAPTURE(head);
        CHECK(policy_name(promised.policies[head]) == policy_name(it.mirror.heads()[head].policy));
        CHECK(promised.kept_tokens[head] == it.mirror.heads()[head].kept_tokens);
      }
      CHECK(promised.kv_live_bytes == it.mirror.now().kv_live_bytes);
    }
  }
}
