// A row of logits that is not all numbers ─► whose fault that is: the model's, where the CPU finds the same, or the
// backend's. Asked by the session after every prefill and step, so that nobody above meets such a row.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "engine/backend/backend.h"
#include "engine/base/policy.h"
#include "engine/run/model.h"

namespace headroom {

class TurnObserver;

class LogitsJudge {
 public:
  LogitsJudge(const Model& model, const Backend& backend) : model_(model), backend_(backend) {}

  /// logits: (n_vocab), those that follow ids, of which the first n_read were prefilled and the others came one by one.
  /// Throws Error(device) where the CPU computes numbers from the same tokens, else Error(bad_input), which names the
  /// tensor of the model that holds something else. Passes the word to stop on to the CPU.
  void check(std::span<const float> logits, std::span<const TokenId> ids, size_t n_read, const CacheConfig& config,
             TurnObserver& observer);

 private:
  enum class Verdict { numbers, not_numbers, none };
  Verdict ask_cpu(std::span<const TokenId> ids, size_t n_read, const CacheConfig& config, TurnObserver& observer) const;
  /// In words; reads the whole file, once.
  const std::string& bad_tensor();

  const Model& model_;
  const Backend& backend_;
  std::optional<std::string> bad_tensor_;
};

}  // namespace headroom
