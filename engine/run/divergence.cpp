// Log-softmax in double over f32 logits, and the few statistics that the reports need.
#include "engine/run/divergence.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace headroom {

int32_t arg_max(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

bool all_finite(std::span<const float> logits) {
  return std::all_of(logits.begin(), logits.end(), [](float logit) { return std::isfinite(logit); });
}

double log_sum_exp(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return largest + std::log(sum);
}

double kl_divergence(std::span<const float> full, std::span<const float> compressed) {
  assert(full.size() == compressed.size());
  const double full_norm = log_sum_exp(full);
  const double compressed_norm = log_sum_exp(compressed);
  double kl = 0;
  for (size_t i = 0; i < full.size(); ++i) {
    const double log_p = full[i] - full_norm;
    const double log_q = compressed[i] - compressed_norm;
    kl += std::exp(log_p) * (log_p - log_q);
  }
  return std::max(kl, 0.0);  // rounding may leave -1e-17
}

double mean(std::span<const double> values) {
  return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double percentile(std::span<const double> values, double share) {
  assert(!values.empty());
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double rank = std::ceil(share * static_cast<double>(sorted.size()));
  return sorted[std::min(static_cast<size_t>(std::max(rank, 1.0)), sorted.size()) - 1];
}

double geometric_mean(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += std::log(std::max(value, 1e-9));
  return values.empty() ? 0 : std::exp(sum / static_cast<double>(values.size()));
}

void Divergence::add(std::span<const float> full, std::span<const float> compressed) {
  if (arg_max(full) == arg_max(compressed))
    ++n_agreed_;
  else if (first_difference_ < 0)
    first_difference_ = n_steps();
  kl_.push_back(kl_divergence(full, compressed));
}

double Divergence::agreement() const {
  return kl_.empty() ? 0 : static_cast<double>(n_agreed_) / static_cast<double>(kl_.size());
}

}  // namespace headroom
