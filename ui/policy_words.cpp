// The sentences for each configuration, score and part of a policy.
#include "ui/policy_words.h"

namespace headroom {

const char* explanation_of(const std::string& config_name) {
  if (config_name == "paper") return "FastGen's five policies, cheapest first.";
  if (config_name == "headroom")
    return "All heads share a part of the tokens: a head that is more important, by the model's table, may hold more. "
           "Each head holds the tokens with its best scores.";
  if (config_name == "uniform") return "Every head may hold the same share: the most attended tokens.";
  if (config_name == "uniform-expected")
    return "Every head may hold the same share: the tokens that coming queries are expected to attend to.";
  if (config_name == "snapkv")
    return "Every head may hold the same share: the last tokens, and those that they attend to (SnapKV).";
  if (config_name == "adakv")
    return "The heads of a layer share a part of its tokens: those with the best scores of all of them (AdaKV).";
  if (config_name == "full") return "Every head keeps everything: the uncompressed cache.";
  if (config_name == "local") return "Every head keeps the last tokens only.";
  if (config_name == "streaming") return "Every head keeps the first four and the last tokens (StreamingLLM).";
  if (config_name == "h2o") return "Every head keeps the most attended and the last tokens (H2O).";
  if (config_name.starts_with("paper-no-")) return "An ablation of the paper: its set without one policy.";
  return "The paper's policies in another order.";
}

const char* score_words(TokenScore score) {
  switch (score) {
    case TokenScore::accumulated:
      return "attention received from all rows";
    case TokenScore::expected:
      return "attention that coming queries are expected to give, times the norm of the value";
    case TokenScore::recent:
      return "attention received from the last 64 rows";
    case TokenScore::mixed:
      return "attention received from all rows and from the last 64, and at every fourth place attention that is "
             "expected";
  }
  return "";
}

std::string protected_words(Policy policy, BudgetKind budget) {
  if (policy.has(Policy::full)) return "everything";
  std::string words;
  const auto add = [&](uint8_t part, const std::string& what) {
    if (!policy.has(part)) return;
    if (!words.empty()) words += "; ";
    words += what;
  };
  add(Policy::special, "control tokens and position 0");
  add(Policy::punctuation, "punctuation");
  add(Policy::first, "the first " + std::to_string(n_first_tokens) + " tokens");
  add(Policy::local, budget == BudgetKind::fixed
                         ? "the last tokens"
                         : "the last " + std::to_string(n_last_of_prompt) + " tokens of a prompt, the last " +
                               std::to_string(n_last_of_answer) + " while an answer is generated");
  return words.empty() ? "nothing" : words;
}

std::string order_sentence(const CacheConfig& config, Policy policy) {
  if (!policy.has(Policy::frequent)) return "";
  return std::string("Order: what is protected, then the best scores, which are ") + score_words(config.score) +
         ", and from each step of an answer. If scores are equal, the earlier token stays.";
}

}  // namespace headroom
