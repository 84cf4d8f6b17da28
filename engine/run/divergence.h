// Two sets of logits for the same next token ─► how far the second is from the first.
#pragma once

#include <span>
#include <vector>

namespace headroom {

/// Kullback-Leibler divergence KL(full || other) in nats, of the distributions that the logits stand for. Never below
/// 0. Throws Error for logits that are not numbers.  full, other: (n_vocab)
double divergence(std::span<const float> full, std::span<const float> other);

/// Index of the largest; of equal ones the first.
int32_t arg_max(std::span<const float> logits);

/// exp of the mean of the logarithms; values below 1e-9 count as that much, so that one exact result does not decide.
double geometric_mean(std::span<const double> values);

}  // namespace headroom
