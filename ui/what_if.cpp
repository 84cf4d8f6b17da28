// The planner's forecast (engine/kv/keep_plan.h) ─► totals and bytes for the panels, and how far it can be trusted. See
// what_if.h.
#include "ui/what_if.h"

#include <algorithm>
#include <cmath>

#include "engine/base/budget.h"
#include "engine/base/error.h"
#include "engine/base/model_config.h"
#include "engine/base/page_layout.h"
#include "engine/kv/keep_plan.h"
#include "ui/number_text.h"

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

ModelShape shape_of(const LoadedModel& model, CacheType type) {
  return {.n_kv_heads = model.n_kv_heads, .windows = model.windows, .page_bytes = page_bytes_of(model, type)};
}

std::vector<SlotTag> tags_of(std::span<const MirrorToken> tokens) {
  std::vector<SlotTag> tags;
  for (const MirrorToken& token : tokens)
    tags.push_back(make_tag(static_cast<int32_t>(tags.size()), token.token_class));
  return tags;
}

/// Fills in the values that follow from policies and kept_tokens.
void add_up(const ModelShape& shape, const CacheConfig& config, int32_t n_tokens, WhatIf& then) {
  then.totals = empty_totals(config);
  for (size_t i = 0; i < then.policies.size(); ++i) {
    const int64_t bytes = (then.kept_tokens[i] + page_tokens - 1) / page_tokens * shape.page_bytes;
    PolicyTotal& total = total_of(then.totals, then.policies[i]);
    ++total.n_heads;
    total.kept_tokens += then.kept_tokens[i];
    total.bytes += bytes;
    then.kv_live_bytes += bytes;
    then.kept.kept_tokens += then.kept_tokens[i];
    then.kept.n_reach += reachable_tokens(n_tokens, shape.window_of(static_cast<int32_t>(i)));
  }
}

}  // namespace

KeptTotal kept_total(const Mirror& mirror) {
  KeptTotal total;
  for (size_t i = 0; i < mirror.heads().size(); ++i) {
    total.kept_tokens += mirror.heads()[i].kept_tokens;
    total.n_reach += reachable_tokens(mirror.n_cached(),
                                      mirror.model()->windows[i / static_cast<size_t>(mirror.model()->n_kv_heads)]);
  }
  return total;
}

int64_t page_bytes_of(const LoadedModel& model, CacheType type) {
  return static_cast<int64_t>(PageLayout{model.head_dim, type}.page_bytes());
}

std::string too_short_text(const Mirror& mirror) {
  const MirrorSample& now = mirror.now();
  if (mirror.model() == nullptr || now.kv_full_bytes <= 0 || now.kv_live_bytes < now.kv_full_bytes) return "";
  const LoadedModel& model = *mirror.model();
  const CacheConfig& config = mirror.config();
  const bool keeps_all = std::all_of(config.policy_set.begin(), config.policy_set.end(),
                                     [](Policy policy) { return policy.has(Policy::full); });
  if (keeps_all || config.keep >= 1) return "kept whole";
  if (config.budget == BudgetKind::fixed) return "too short to save yet";
  // A head keeps its share of n tokens, at least the protected ones, in whole pages.
  int32_t n_special = 0;
  const auto cached = mirror.tokens().first(static_cast<size_t>(mirror.n_cached()));
  for (const MirrorToken& token : cached) n_special += token.token_class == TokenClass::special ? 1 : 0;
  const int32_t n_protected = n_first_tokens + n_special + n_last_of_answer;
  const int64_t page_bytes = page_bytes_of(model, config.cache_type);
  const int64_t full_bytes = 2 * model.head_dim * int64_t{2};  // of a token in one head, f16
  for (int32_t n = mirror.n_cached() + 1; n < mirror.n_cached() + 4096; ++n) {
    const int64_t kept = std::max<int64_t>(std::llround(config.keep * n), std::min(n, n_protected));
    if ((kept + page_tokens - 1) / page_tokens * page_bytes < n * full_bytes)
      return "too short to save yet; from about " + count_text((n + 9) / 10 * 10) + " tokens on";
  }
  return "too short to save yet";
}

SmallestBounds smallest_bounds(const Mirror& mirror, const CacheConfig& config) {
  SmallestBounds bounds;
  if (mirror.model() == nullptr || config.budget != BudgetKind::shared || config.policy_set.size() != 1) return bounds;
  const ModelShape shape = shape_of(*mirror.model(), config.cache_type);
  const std::vector<SlotTag> tags = tags_of(mirror.tokens().first(static_cast<size_t>(mirror.n_cached())));
  std::vector<int32_t> least;
  for (const HeadCapacity& capacity :
       head_capacities(shape, config, {.n_before = 0, .new_tags = tags}, {}, n_last_of_prompt))
    least.push_back(std::max(capacity.n_protected, n_first_tokens + n_last_of_answer));
  bounds.protected_bytes = budget_bytes(least, shape.page_bytes);
  for (int32_t& n : least) n *= 2;
  bounds.sensible_bytes = budget_bytes(least, shape.page_bytes);
  return bounds;
}

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
  const ModelShape shape = shape_of(model, config.cache_type);
  std::vector<HeadProfile> profiles;
  for (const MirrorHead& head : heads) profiles.push_back(head.profile);
  profiles.resize(static_cast<size_t>(shape.n_heads()));
  WhatIf then;
  try {
    KeepForecast forecast = forecast_keep(shape, config, tags_of(tokens), profiles);
    then.policies = std::move(forecast.policies);
    then.kept_tokens = std::move(forecast.kept_tokens);
    then.threshold = forecast.threshold;
  } catch (const Error& error) {
    then.threshold = config.threshold;
    then.refusal = error.what();
    return then;
  }
  add_up(shape, config, static_cast<int32_t>(tokens.size()), then);
  return then;
}

WhatIfTrust what_if_trust(const Mirror& mirror, const CacheConfig& config) {
  const CacheConfig& now = mirror.config();
  if (mirror.n_cached() == 0) return {.sentence = "There is nothing in the cache yet to try this on."};
  if (config.budget == BudgetKind::pooled)
    return {true, false,
            "The share is exact. Which head holds how much of it depends on the scores of its tokens, which Apply "
            "measures; an even share is shown."};
  if (config.budget == BudgetKind::shared) {
    if (config.importance == ImportanceKind::calibrated && config.head_importance.empty())
      return {true, false,
              "An estimate in which all heads count alike: the model's table of importance is not known here. Apply "
              "uses it if there is one."};
    return {true, true,
            "Exact: budgets follow from the number of tokens and the heads' importance, not from attention."};
  }
  if (now.budget != BudgetKind::fixed)
    return {.sentence =
                "Not known yet: these policies choose by each head's attention, which is not measured while heads have "
                "budgets. Press Apply: the " +
                count_text(mirror.n_cached(), "token", "tokens") +
                " of the conversation are read again and measured. After that every change is shown here first."};
  if (!mirror.has_profile())
    return {.sentence =
                "No recoveries were measured for this cache. Apply re-encodes the conversation and shows them."};
  if (config.r_local != now.r_local || config.r_frequent != now.r_frequent || config.group != now.group)
    return {.sentence = "The recoveries were measured with other shares; only a re-encode can tell."};

  if (solves_threshold(config))
    return {true, false,
            "An estimate: T is solved with the measured recoveries. The engine also solves the shares of local and "
            "frequent."};
  const bool whole = mirror.last_action() == "first_turn" || mirror.last_action() == "re_encoded";
  const int32_t n_read =
      mirror.turn() ? mirror.turn()->n_prompt_tokens : (mirror.last_turn() ? mirror.last_turn()->n_prompt_tokens : 0);
  if (whole && n_read == mirror.n_cached())
    return {true, true, "Exact: every token in the cache was read in one prefill, which measured these recoveries."};
  if (whole)
    return {true, false,
            "An estimate: the recoveries were measured for the prompt, without the answer's tokens. Apply measures all "
            "of them."};
  return {true, false,
          "An estimate: the recoveries were measured turn by turn. Apply measures the whole conversation in one "
          "prefill."};
}

}  // namespace headroom
