// Divergence in double: the differences that matter here are far below a float's rounding. See divergence.h.
#include "engine/run/divergence.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "engine/base/error.h"

namespace headroom {
namespace {

/// log of the sum of exp(logits), with the largest logit apart.
struct LogSum {
  double largest;
  double log_sum;
  double log_probability(float logit) const { return logit - largest - log_sum; }
};

LogSum log_sum_of(std::span<const float> logits) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit} - largest);
  if (!(std::isfinite(largest) && std::isfinite(sum)))
    throw Error("the model gave logits that are not numbers; expected finite ones");
  return {largest, std::log(sum)};
}

}  // namespace

double divergence(std::span<const float> full, std::span<const float> other) {
  assert(full.size() == other.size() && !full.empty());
  const LogSum p = log_sum_of(full), q = log_sum_of(other);
  double sum = 0;
  for (size_t i = 0; i < full.size(); ++i) {
    const double log_p = p.log_probability(full[i]);
    sum += std::exp(log_p) * (log_p - q.log_probability(other[i]));
  }
  return std::max(sum, 0.0);
}

int32_t arg_max(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double geometric_mean(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += std::log(std::max(value, 1e-9));
  return values.empty() ? 0 : std::exp(sum / static_cast<double>(values.size()));
}

}  // namespace headroom
