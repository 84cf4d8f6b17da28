// Policies from kept recoveries, token counts from the keep rule, bytes from whole pages: the steps of a prefill's end,
// without its attention.
#include "ui/what_if.h"

#include <algorithm>

namespace headroom {
namespace {

PolicyTotal& total_of(std::vector<PolicyTotal>& totals, Policy policy) {
  for (PolicyTotal& total : totals)
    if (total.policy == policy) return total;
  return totals.emplace_back(PolicyTotal{.policy = policy});
}

std::vector<PolicyTotal> empty_totals(const CacheConfig& config) {
  std::vector<PolicyTotal> totals;
  for (const Policy policy : possible_policies(config)) totals.push_back({.policy = policy});
  return totals;
}

int32_t tokens_kept_by(const KeepRule& rule, std::span<const MirrorToken> tokens) {
  int32_t n_always = 0;
  const int32_t n = static_cast<int32_t>(tokens.size());
  for (int32_t position = rule.reach_from; position < n; ++position)
    n_always += rule.keeps_always(position, tokens[static_cast<size_t>(position)].token_class) ? 1 : 0;
  const int32_t n_rest = n - rule.reach_from - n_always;
  return n_always + (rule.policy.has(Policy::frequent) ? std::min(rule.n_frequent, n_rest) : 0);
}

/// Token counts by policy and window: a model has few of either, and counting reads every token.
class KeptCounts {
 public:
  KeptCounts(std::span<const MirrorToken> tokens, const CacheConfig& config) : tokens_(tokens), config_(config) {}

  int32_t of(Policy policy, int32_t window) {
    for (const Known& known : known_)
      if (known.policy == policy && known.window == window) return known.n_kept;
    const KeepRule rule =
        make_keep_rule(policy, static_cast<int32_t>(tokens_.size()), window, config_.r_local, config_.r_frequent);
    return known_.emplace_back(Known{policy, window, tokens_kept_by(rule, tokens_)}).n_kept;
  }

 private:
  struct Known {
    Policy policy;
    int32_t window = 0, n_kept = 0;
  };
  std::span<const MirrorToken> tokens_;
  const CacheConfig& config_;
  std::vector<Known> known_;
};

}  // namespace

std::vector<PolicyTotal> policy_totals(const LoadedModel& model, std::span<const MirrorHead> heads,
                                       const CacheConfig& config) {
  std::vector<PolicyTotal> totals = empty_totals(config);
  for (const MirrorHead& head : heads) {
    PolicyTotal& total = total_of(totals, head.policy);
    ++total.n_heads;
    total.kept_tokens += head.kept_tokens;
    total.bytes += head.pages * model.page_bytes;
  }
  return totals;
}

WhatIf what_if(const LoadedModel& model, std::span<const MirrorToken> tokens, std::span<const MirrorHead> heads,
               const CacheConfig& config) {
  WhatIf then;
  then.policies.reserve(heads.size());
  then.kept_tokens.reserve(heads.size());
  then.totals = empty_totals(config);
  KeptCounts counts(tokens, config);
  for (size_t i = 0; i < heads.size(); ++i) {
    const size_t layer = i / static_cast<size_t>(model.n_kv_heads);
    const Policy policy = choose_policy(heads[i].profile, config);
    const int32_t n_kept = tokens.empty() ? 0 : counts.of(policy, model.windows[layer]);
    const int64_t n_pages = (n_kept + model.page_tokens - 1) / model.page_tokens;
    PolicyTotal& total = total_of(then.totals, policy);
    ++total.n_heads;
    total.kept_tokens += n_kept;
    total.bytes += n_pages * model.page_bytes;
    then.kv_live_bytes += n_pages * model.page_bytes;
    then.policies.push_back(policy);
    then.kept_tokens.push_back(n_kept);
  }
  return then;
}

WhatIfTrust what_if_trust(const Mirror& mirror, const CacheConfig& config) {
  const CacheConfig& now = mirror.config();
  if (mirror.n_cached() == 0) return {.sentence = "There is nothing in the cache yet to try this on."};
  if (!mirror.has_profile())
    return {.sentence =
                "No recoveries were measured for this cache. Apply re-encodes the conversation and shows them."};
  if (config.r_local != now.r_local || config.r_frequent != now.r_frequent || config.group != now.group)
    return {.sentence = "The recoveries were measured with other shares; only a re-encode can tell."};

  const bool whole = mirror.last_action() == "first_turn" || mirror.last_action() == "re_encoded";
  const int32_t n_read =
      mirror.turn() ? mirror.turn()->n_prompt_tokens : (mirror.last_turn() ? mirror.last_turn()->n_prompt_tokens : 0);
  if (whole && n_read == mirror.n_cached())
    return {true, true, "Exact: every token in the cache was read in one prefill, which measured these recoveries."};
  if (whole)
    return {true, false,
            "An estimate: the recoveries are of the prompt, and the answer's tokens have come since. Apply measures "
            "them all."};
  return {true, false,
          "An estimate: the recoveries are of the turns as they came, partly of a later turn's own tokens. Apply "
          "measures the whole conversation in one prefill."};
}

}  // namespace headroom
