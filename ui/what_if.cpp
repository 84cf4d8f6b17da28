// Repeats the end of a prefill without attention: policies from stored recoveries or budgets from shares, token counts
// from the keep rule, bytes from whole pages.
#include "ui/what_if.h"

#include <algorithm>
#include <cmath>

#include "engine/base/budget.h"
#include "engine/base/error.h"
#include "engine/base/model_config.h"
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

int32_t protected_by(const KeepRule& rule, std::span<const MirrorToken> tokens) {
  int32_t n_always = 0;
  for (int32_t position = rule.reach_from; position < std::ssize(tokens); ++position)
    n_always += rule.keeps_always(position, tokens[static_cast<size_t>(position)].token_class) ? 1 : 0;
  return n_always;
}

int32_t tokens_kept_by(const KeepRule& rule, std::span<const MirrorToken> tokens) {
  const int32_t n_always = protected_by(rule, tokens);
  const int32_t n_rest = static_cast<int32_t>(tokens.size()) - rule.reach_from - n_always;
  return n_always + std::min(rule.n_by_score(n_always), n_rest);
}

/// Caches token counts by policy and window: a model has few of either, and each count visits every token.
class KeptCounts {
 public:
  KeptCounts(std::span<const MirrorToken> tokens, const CacheConfig& config) : tokens_(tokens), config_(config) {}

  int32_t of(Policy policy, int32_t window) {
    if (tokens_.empty()) return 0;
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

/// For each head, how many tokens it can reach and how many it protects under `config`. Computed once per window.
std::vector<HeadCapacity> rooms_of(const LoadedModel& model, std::span<const MirrorToken> tokens,
                                   const CacheConfig& config) {
  const auto n = static_cast<int32_t>(tokens.size());
  std::vector<HeadCapacity> rooms;
  std::vector<std::pair<int32_t, HeadCapacity>> known;  // by window
  for (const int32_t window : model.windows) {
    auto found = std::find_if(known.begin(), known.end(), [&](const auto& it) { return it.first == window; });
    if (found == known.end()) {
      const KeepRule rule = make_budget_rule(config.policy_set[0], {}, n, window, n_last_of_prompt);
      known.push_back({window, {reachable_tokens(n, window), protected_by(rule, tokens)}});
      found = known.end() - 1;
    }
    rooms.insert(rooms.end(), static_cast<size_t>(model.n_kv_heads), found->second);
  }
  return rooms;
}

/// rooms_of() with a byte bound. Throws if the bound is below the smallest possible budget. If the protected tokens do
/// not fit, some of them are evicted too.
std::vector<HeadCapacity> rooms_in_bytes(const LoadedModel& model, std::span<const MirrorToken> tokens,
                                         const CacheConfig& config, int64_t page_bytes) {
  check_budget_bytes(config, least_budget_bytes(model.windows, model.n_kv_heads, page_bytes));
  const auto n = static_cast<int32_t>(tokens.size());
  std::vector<HeadClaims> claims;
  for (const int32_t window : model.windows) {
    const KeepRule rule = make_budget_rule(config.policy_set[0], {}, n, window, 0);  // without the last tokens
    HeadClaims claim{.n_reach = reachable_tokens(n, window)};
    if (!config.policy_set[0].has(Policy::local)) claim.n_last = 0;
    for (int32_t position = rule.reach_from; position < n; ++position) {
      if (!rule.keeps_always(position, tokens[static_cast<size_t>(position)].token_class)) continue;
      if (position < n_first_tokens)
        ++claim.n_first;
      else
        claim.by_class.push_back(position);
    }
    claims.insert(claims.end(), static_cast<size_t>(model.n_kv_heads), claim);
  }
  const Protection protection = protection_in_bytes(claims, config.kv_budget_bytes, page_bytes);
  std::vector<HeadCapacity> rooms;
  for (const HeadClaims& claim : claims) rooms.push_back({claim.n_reach, claim.n_protected(protection)});
  return rooms;
}

std::vector<int32_t> budgets_of(const CacheConfig& config, std::span<const HeadCapacity> rooms, int64_t page_bytes) {
  if (config.budget == BudgetKind::shared)
    return config.kv_budget_bytes > 0 ? shared_budgets_in_bytes(config, config.keep, rooms, page_bytes)
                                      : shared_budgets(config, config.keep, rooms);
  std::vector<int32_t> even;
  for (const HeadCapacity& room : rooms)
    even.push_back(std::max(static_cast<int32_t>(std::llround(config.keep * room.n_reach)), room.n_protected));
  return even;
}

/// Fills in the values that follow from policies and kept_tokens.
void add_up(const LoadedModel& model, int64_t page_bytes, const CacheConfig& config, int32_t n_tokens, WhatIf& then) {
  then.totals = empty_totals(config);
  for (size_t i = 0; i < then.policies.size(); ++i) {
    const int64_t n_pages = (then.kept_tokens[i] + model.page_tokens - 1) / model.page_tokens;
    PolicyTotal& total = total_of(then.totals, then.policies[i]);
    ++total.n_heads;
    total.kept_tokens += then.kept_tokens[i];
    total.bytes += n_pages * page_bytes;
    then.kv_live_bytes += n_pages * page_bytes;
    then.kept.kept_tokens += then.kept_tokens[i];
    then.kept.n_reach += reachable_tokens(n_tokens, model.windows[i / static_cast<size_t>(model.n_kv_heads)]);
  }
}

/// Chooses policies and token counts from the heads' recoveries.
void choose(const LoadedModel& model, std::span<const MirrorHead> heads, const CacheConfig& config, KeptCounts& counts,
            WhatIf& then) {
  then.policies.clear();
  then.kept_tokens.clear();
  for (size_t i = 0; i < heads.size(); ++i) {
    const int32_t window = model.windows[i / static_cast<size_t>(model.n_kv_heads)];
    then.policies.push_back(choose_policy(heads[i].profile, config));
    then.kept_tokens.push_back(counts.of(then.policies.back(), window));
  }
}

/// The largest threshold at which the heads keep at most the share that `config` wants. Uses bisection, because the
/// kept share grows with the threshold.
double solved_threshold(const LoadedModel& model, std::span<const MirrorHead> heads, const CacheConfig& config,
                        int32_t n_tokens, KeptCounts& counts) {
  CacheConfig trial = config;
  const auto fits = [&](double threshold) {
    trial.threshold = threshold;
    WhatIf then;
    choose(model, heads, trial, counts, then);
    int64_t n_kept = 0, n_reach = 0;
    for (size_t i = 0; i < then.kept_tokens.size(); ++i) {
      n_kept += then.kept_tokens[i];
      n_reach += reachable_tokens(n_tokens, model.windows[i / static_cast<size_t>(model.n_kv_heads)]);
    }
    return n_kept <= std::llround(config.keep * static_cast<double>(n_reach));
  };
  if (fits(1)) return 1;
  double low = 0, high = 1;
  for (int step = 0; step < 30; ++step) {
    const double middle = (low + high) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
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

int64_t page_bytes_under(const LoadedModel& model, CacheType now, CacheType then) {
  const auto values_bytes = [&](CacheType type) {
    const int64_t row =
        type == CacheType::q8_0 ? (model.head_dim + 31) / 32 * int64_t{34} : model.head_dim * int64_t{2};
    return 2 * model.page_tokens * row;
  };
  return std::max<int64_t>(1, model.page_bytes - values_bytes(now) + values_bytes(then));
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
  const int64_t page_bytes = page_bytes_under(model, mirror.config().cache_type, config.cache_type);
  const int64_t full_bytes = 2 * model.head_dim * int64_t{2};  // of a token in one head, f16
  for (int32_t n = mirror.n_cached() + 1; n < mirror.n_cached() + 4096; ++n) {
    const int64_t kept = std::max<int64_t>(std::llround(config.keep * n), std::min(n, n_protected));
    if ((kept + model.page_tokens - 1) / model.page_tokens * page_bytes < n * full_bytes)
      return "too short to save yet; from about " + count_text((n + 9) / 10 * 10) + " tokens on";
  }
  return "too short to save yet";
}

SmallestBounds smallest_bounds(const Mirror& mirror, const CacheConfig& config) {
  SmallestBounds bounds;
  if (mirror.model() == nullptr || config.budget != BudgetKind::shared || config.policy_set.size() != 1) return bounds;
  const LoadedModel& model = *mirror.model();
  CacheConfig bounded = config;
  bounded.kv_budget_bytes = 1;
  std::vector<int32_t> least;
  for (const HeadCapacity& room :
       rooms_of(model, mirror.tokens().first(static_cast<size_t>(mirror.n_cached())), bounded))
    least.push_back(std::max(room.n_protected, n_first_tokens + n_last_of_answer));
  const int64_t page_bytes = page_bytes_under(model, mirror.config().cache_type, config.cache_type);
  const auto bytes_of = [&] {
    int64_t bytes = 0;
    for (const int32_t n : least) bytes += (n + model.page_tokens) / model.page_tokens * page_bytes;
    return bytes;
  };
  bounds.protected_bytes = bytes_of();
  for (int32_t& n : least) n *= 2;
  bounds.sensible_bytes = bytes_of();
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
               const CacheConfig& config, CacheType now) {
  WhatIf then;
  then.threshold = config.threshold;
  const auto n = static_cast<int32_t>(tokens.size());
  const int64_t page_bytes = page_bytes_under(model, now, config.cache_type);
  if (config.budget != BudgetKind::fixed) {
    std::vector<HeadCapacity> rooms;
    const Policy policy = config.policy_set[0];
    try {
      rooms = config.kv_budget_bytes > 0 ? rooms_in_bytes(model, tokens, config, page_bytes)
                                         : rooms_of(model, tokens, config);
      then.kept_tokens = budgets_of(config, rooms, page_bytes);
    } catch (const Error& error) {
      then.refusal = error.what();
      return then;
    }
    for (size_t i = 0; i < rooms.size(); ++i) {
      if (policy.has(Policy::full)) then.kept_tokens[i] = rooms[i].n_reach;
      if (!policy.has(Policy::full) && !policy.has(Policy::frequent)) then.kept_tokens[i] = rooms[i].n_protected;
    }
    then.policies.assign(rooms.size(), policy);
  } else {
    KeptCounts counts(tokens, config);
    CacheConfig solved = config;
    if (solves_threshold(config)) then.threshold = solved.threshold = solved_threshold(model, heads, config, n, counts);
    choose(model, heads, solved, counts, then);
  }
  add_up(model, page_bytes, config, n, then);
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
