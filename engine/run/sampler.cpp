// Logits ─► the next token: penalty, cuts, temperature, one draw. See sampler.h.
#include "engine/run/sampler.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/base/error.h"

namespace headroom {
namespace {

void check(bool good, const char* name, double found, const char* expected) {
  if (!good) throw Error(std::string(name) + " is " + std::to_string(found) + "; expected " + expected);
}

}  // namespace

Sampler::Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) {
  check(std::isfinite(options.temperature) && options.temperature >= 0, "temperature", options.temperature,
        "a number from 0");
  check(options.top_k >= 0, "top-k", options.top_k, "0 (all) or more");
  check(options.top_p > 0 && options.top_p <= 1, "top-p", options.top_p, "above 0, at most 1");
  check(options.min_p >= 0 && options.min_p <= 1, "min-p", options.min_p, "0 to 1");
  check(std::isfinite(options.repeat_penalty) && options.repeat_penalty > 0, "repeat penalty", options.repeat_penalty,
        "a number above 0");
}

TokenId Sampler::sample(std::span<const float> logits, std::span<const TokenId> recent) {
  if (options_.repeat_penalty != 1) {
    penalised_.assign(logits.begin(), logits.end());
    const size_t n_recent = std::min(recent.size(), n_repeat_tokens);
    std::vector<TokenId> seen(recent.end() - static_cast<std::ptrdiff_t>(n_recent), recent.end());
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    for (const TokenId id : seen) {
      float& logit = penalised_[static_cast<size_t>(id)];
      logit = logit > 0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
    }
    logits = penalised_;
  }
  if (options_.temperature == 0)
    return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());

  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) candidates_.push_back({static_cast<TokenId>(i), logits[i]});
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  const size_t n_top =
      options_.top_k == 0 ? candidates_.size() : std::min(candidates_.size(), static_cast<size_t>(options_.top_k));
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(n_top), candidates_.end(),
                    better);
  candidates_.resize(n_top);

  // top-p and min-p look at the distribution before the temperature, as llama.cpp's default order has it.
  const float largest = candidates_.front().logit;
  double total = 0;
  for (const Candidate& candidate : candidates_) total += std::exp(static_cast<double>(candidate.logit - largest));
  double mass = 0;
  size_t n_kept = 0;
  while (n_kept < candidates_.size()) {
    const double weight = std::exp(static_cast<double>(candidates_[n_kept].logit - largest));
    if (n_kept > 0 &&
        (mass >= static_cast<double>(options_.top_p) * total || weight < static_cast<double>(options_.min_p)))
      break;
    mass += weight;
    ++n_kept;
  }
  candidates_.resize(n_kept);

  double sum = 0;
  const auto weight_of = [&](const Candidate& candidate) {
    return std::exp(static_cast<double>(candidate.logit - largest) / static_cast<double>(options_.temperature));
  };
  for (const Candidate& candidate : candidates_) sum += weight_of(candidate);
  // 53 random bits make the draw the same on every standard library.
  double draw = static_cast<double>(random_() >> 11) * 0x1.0p-53 * sum;
  for (const Candidate& candidate : candidates_) {
    draw -= weight_of(candidate);
    if (draw < 0) return candidate.id;
  }
  return candidates_.back().id;
}

}  // namespace headroom
