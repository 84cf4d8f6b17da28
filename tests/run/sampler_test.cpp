// The sampler by hand-computed cases: which tokens each option removes, and that a seed fixes every result.
#include "engine/run/sampler.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <map>

#include "engine/base/error.h"
#include "engine/run/stop_text.h"

using namespace headroom;

namespace {

SamplerOptions plain() {
  return {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .repeat_penalty = 1, .seed = 1};
}

std::map<TokenId, int> draw(const SamplerOptions& options, const std::vector<float>& logits, int count) {
  Sampler sampler(options);
  std::map<TokenId, int> drawn;
  for (int i = 0; i < count; ++i) ++drawn[sampler.sample(logits, {})];
  return drawn;
}

// Probabilities 0.5, 0.25, 0.15, 0.1.
const std::vector<float> four{std::log(0.5f), std::log(0.25f), std::log(0.15f), std::log(0.1f)};

}  // namespace

TEST_CASE("temperature 0 takes the largest logit, the first of equal ones") {
  SamplerOptions options = plain();
  options.temperature = 0;
  CHECK(Sampler(options).sample(std::vector<float>{1, 3, 3, 2}, {}) == 1);
}

TEST_CASE("temperature 1 draws by the probabilities") {
  const auto drawn = draw(plain(), four, 20000);
  CHECK(drawn.at(0) == Approx(10000).epsilon(0.05));
  CHECK(drawn.at(1) == Approx(5000).epsilon(0.07));
  CHECK(drawn.at(2) == Approx(3000).epsilon(0.1));
  CHECK(drawn.at(3) == Approx(2000).epsilon(0.1));
}

TEST_CASE("temperature 2 takes the root of the ratios") {
  SamplerOptions options = plain();
  options.temperature = 2;
  const auto drawn = draw(options, four, 20000);
  CHECK(static_cast<double>(drawn.at(0)) / drawn.at(1) == Approx(std::sqrt(2.0)).epsilon(0.06));
}

TEST_CASE("top-k, top-p and min-p cut the tail") {
  SamplerOptions options = plain();
  options.top_k = 2;
  CHECK(draw(options, four, 2000).size() == 2);
  options = plain();
  options.top_p = 0.7f;  // 0.5 is not enough, 0.5 + 0.25 is
  CHECK(draw(options, four, 2000).size() == 2);
  options = plain();
  options.min_p = 0.28f;  // at least 0.14
  CHECK(draw(options, four, 2000).size() == 3);
  options.min_p = 1;
  CHECK(draw(options, four, 100).size() == 1);
}

TEST_CASE("the repeat penalty divides positive logits and multiplies negative ones") {
  SamplerOptions options = plain();
  options.temperature = 0;
  options.repeat_penalty = 2;
  Sampler sampler(options);
  CHECK(sampler.sample(std::vector<float>{4, 3, -1}, std::vector<TokenId>{0}) == 1);
  CHECK(sampler.sample(std::vector<float>{-1, -1.5f, -3}, std::vector<TokenId>{0}) == 1);
  // A token that is older than the range of the penalty is not penalised.
  std::vector<TokenId> recent(n_repeat_tokens, 2);
  recent.insert(recent.begin(), 0);
  CHECK(sampler.sample(std::vector<float>{4, 3, -1}, recent) == 0);
}

TEST_CASE("the same seed gives the same draws, another seed others") {
  SamplerOptions options = plain();
  const std::vector<float> flat(1000, 0.0f);
  const auto sequence = [&](uint64_t seed) {
    options.seed = seed;
    Sampler sampler(options);
    std::vector<TokenId> ids;
    for (int i = 0; i < 20; ++i) ids.push_back(sampler.sample(flat, {}));
    return ids;
  };
  CHECK(sequence(5) == sequence(5));
  CHECK(sequence(5) != sequence(6));
}

TEST_CASE("options out of range are refused") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto refused = [](auto change) {
    SamplerOptions options = plain();
    change(options);
    CHECK_THROWS_AS(Sampler(options), Error);
  };
  refused([&](SamplerOptions& o) { o.temperature = nan; });
  refused([](SamplerOptions& o) { o.temperature = -1; });
  refused([](SamplerOptions& o) { o.top_k = -1; });
  refused([](SamplerOptions& o) { o.top_p = 0; });
  refused([](SamplerOptions& o) { o.min_p = 1.5f; });
  refused([](SamplerOptions& o) { o.repeat_penalty = 0; });
}

TEST_CASE("a stop string is found across pieces, and nothing of it is shown") {
  StopText text({"END", "\n\n"});
  CHECK(text.push("one E") == "one ");
  CHECK(text.push("N") == "");
  CHECK(text.push("ough") == "ENough");
  CHECK(text.push(" x\n") == " x");
  CHECK(text.push("\ny") == "");
  CHECK(text.stopped());
  CHECK(text.push("more") == "");
}

TEST_CASE("held-back text comes out at the end; empty stop strings are ignored") {
  StopText text({"", "stop"});
  CHECK(text.push("a sto") == "a ");
  CHECK(text.finish() == "sto");
  CHECK_FALSE(text.stopped());
}
