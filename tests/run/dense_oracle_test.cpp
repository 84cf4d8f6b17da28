// With the full cache the engine computes what a dense transformer computes, on every architecture.
#include "tests/run/dense_oracle.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "engine/run/cache_lab.h"
#include "tests/support/backends.h"
#include "tests/support/tiny_model.h"

using namespace headroom;

namespace dense_oracle_test {
namespace {

std::vector<TokenId> random_ids(int32_t n_vocab, size_t count) {
  std::mt19937 random(7);
  std::vector<TokenId> ids;
  for (size_t i = 0; i < count; ++i) ids.push_back(static_cast<TokenId>(random() % static_cast<unsigned>(n_vocab)));
  return ids;
}

/// Relative to the largest logit of the row.
double largest_error(std::span<const float> found, const std::vector<double>& expected) {
  double largest = 0, error = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    error = std::max(error, std::abs(found[i] - expected[i]));
  }
  return error / largest;
}

constexpr const char* fast_backends[] = {"cpu", "vulkan-lane", "vulkan-subgroup"};

void check_against_oracle(const test::TinyModelOptions& options, const std::string& backend_name) {
  if (!test::is_there(backend_name)) return;
  const std::vector<std::byte> bytes = test::make_tiny_model(options).bytes();
  const Model model(load_model_file(GgufFile::from_bytes(bytes, "tiny.gguf")));
  const ModelFile file = load_model_file(GgufFile::from_bytes(bytes, "tiny.gguf"));
  // Longer than a block of the prefill, and longer than the sliding window.
  const size_t n_prompt = 300, n_fed = 12;
  const std::vector<TokenId> ids = random_ids(model.config().n_vocab, n_prompt + n_fed);
  const auto expected = test::dense_logits(file, ids);

  CacheConfig above_one = *find_cache_config("paper");
  above_one.threshold = 1.01;
  for (const CacheConfig& cache : {*find_cache_config("full"), above_one}) {
    CAPTURE(cache.name, backend_name);
    CacheLab session(model, test::shared_small_backend(backend_name), {.cache = cache, .n_ctx = 0});
    TurnObserver silent;
    CHECK(largest_error(session.prefill(std::span(ids).first(n_prompt), silent), expected[n_prompt - 1]) < 2e-3);
    for (size_t i = n_prompt; i < ids.size(); ++i) {
      CAPTURE(i);
      CHECK(largest_error(session.feed(ids[i]), expected[i]) < 2e-3);
    }
    for (const HeadState& head : session.cache_state().heads) CHECK(head.policy == Policy{Policy::full});
  }
}

}  // namespace

TEST_CASE("full-cache logits equal a dense oracle: llama on the reference backend") {
  check_against_oracle(test::tiny_model_options(Architecture::llama), "cpu-reference");
}

TEST_CASE("full-cache logits equal a dense oracle: llama with rope factors") {
  test::TinyModelOptions options = test::tiny_model_options(Architecture::llama);
  options.rope_factors = true;
  for (const char* backend : fast_backends) check_against_oracle(options, backend);
}

TEST_CASE("full-cache logits equal a dense oracle: llama with 8-bit weights") {
  test::TinyModelOptions options = test::tiny_model_options(Architecture::llama);
  options.matrix_type = TensorType::q8_0;
  for (const char* backend : {"cpu", "vulkan-subgroup", "vulkan-dot"}) check_against_oracle(options, backend);
}

TEST_CASE("full-cache logits equal a dense oracle: every architecture of the table") {
  for (const ArchitectureTraits& traits : architectures()) {
    CAPTURE(traits.name);
    for (const char* backend : fast_backends)
      check_against_oracle(test::tiny_model_options(traits.architecture), backend);
  }
}

}  // namespace dense_oracle_test
