// The panels' sentences in cases where a number alone would mislead: a conversation too short to save anything, a byte
// bound that decides, settings that are in use.
#include <catch2/catch.hpp>

#include "tests/support/sample_stream.h"
#include "ui/memory_panel.h"
#include "ui/what_if.h"

using namespace headroom;

namespace {

Mirror mirror_of(const CacheConfig& config, int32_t n_tokens) {
  Mirror mirror;
  test::SampleStream{.n_layers = 4, .n_tokens = n_tokens, .n_turns = 1, .config = config}.apply_to(mirror);
  return mirror;
}

/// The first number in a sentence; 0: none.
int number_in(const std::string& sentence) {
  const size_t at = sentence.find_first_of("0123456789");
  return at == std::string::npos ? 0 : std::stoi(sentence.substr(at));
}

}  // namespace

TEST_CASE("a conversation that saves nothing yet is too short, and it is said from when on it saves", "[words]") {
  const CacheConfig headroom = *find_cache_config("headroom");
  const Mirror small = mirror_of(headroom, 20);
  REQUIRE(small.now().kv_live_bytes >= small.now().kv_full_bytes);
  const std::string sentence = too_short_text(small);
  CHECK(sentence.starts_with("too short to save yet; from about "));
  const int n = number_in(sentence);
  CHECK(n > 20);
  CHECK(n < 400);
  CHECK(too_short_text(mirror_of(headroom, 2000)).empty());
  CHECK(too_short_text(mirror_of(*find_cache_config("full"), 2000)) == "kept whole");
  CHECK(too_short_text(Mirror()).empty());
}

TEST_CASE("the smallest sensible bound leaves as much again as is protected", "[words]") {
  CacheConfig config = *find_cache_config("headroom");
  const Mirror mirror = mirror_of(config, 2000);
  config.kv_budget_bytes = 1 << 20;
  const SmallestBounds least = smallest_bounds(mirror, config);
  CHECK(least.protected_bytes > 0);
  CHECK(least.sensible_bytes > least.protected_bytes);
  CHECK(least.sensible_bytes <= 2 * least.protected_bytes);
  // The protected tokens fit at this bound. Below it the oldest of them are evicted, down to the smallest allowed
  // bound.
  const auto cached = mirror.tokens().first(static_cast<size_t>(mirror.n_cached()));
  config.kv_budget_bytes = least.protected_bytes;
  CHECK(what_if(*mirror.model(), cached, mirror.heads(), config).refusal.empty());
  config.kv_budget_bytes = least.protected_bytes * 9 / 10;
  CHECK(what_if(*mirror.model(), cached, mirror.heads(), config).refusal.empty());
  config.kv_budget_bytes = 1;
  CHECK_FALSE(what_if(*mirror.model(), cached, mirror.heads(), config).refusal.empty());
  CHECK(smallest_bounds(mirror, *find_cache_config("paper")).sensible_bytes == 0);
}

TEST_CASE("what paper would keep is not known under budgets, and it is said what to press", "[words]") {
  const Mirror mirror = mirror_of(*find_cache_config("headroom"), 500);
  const WhatIfTrust trust = what_if_trust(mirror, *find_cache_config("paper"));
  CHECK_FALSE(trust.is_known);
  CHECK(trust.sentence.find("Press Apply") != std::string::npos);
}
