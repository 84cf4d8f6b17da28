// Logits of the full cache and of a compressed one, step by step ─► how far the second is from the first. What
// `calibrate` and `eval` measure by. Plain numbers: knows no model and no cache.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace headroom {

/// Index of the largest logit, of equal ones the first.
int32_t arg_max(std::span<const float> logits);
bool all_finite(std::span<const float> logits);

/// ln sum exp of the logits, in double.
double log_sum_exp(std::span<const float> logits);

/// KL(full || compressed) in nats, sum of p (ln p - ln q) over the vocabulary, never below 0. Both: (n_vocab), finite.
double kl_divergence(std::span<const float> full, std::span<const float> compressed);

double mean(std::span<const double> values);
/// The ceil(share * n)-th smallest value (nearest rank, no interpolation). values: at least one.
double percentile(std::span<const double> values, double share);
/// exp(mean ln x), values below 1e-9 counted as that much, so that one exact row does not make the mean 0.
double geometric_mean(std::span<const double> values);

/// Divergence summed up over the steps of one text.
class Divergence {
 public:
  void add(std::span<const float> full, std::span<const float> compressed);

  int32_t n_steps() const { return static_cast<int32_t>(kl_.size()); }
  double mean_kl() const { return mean(kl_); }
  double p95_kl() const { return percentile(kl_, 0.95); }
  /// Share of the steps whose arg max is the same.
  double agreement() const;
  /// The first step, from 0, whose arg max differs; -1: none.
  int32_t first_difference() const { return first_difference_; }

 private:
  std::vector<double> kl_;
  int32_t n_agreed_ = 0;
  int32_t first_difference_ = -1;
};

}  // namespace headroom
