// Slots, new tokens and a share, or a bound in bytes ─► how many tokens each head may hold. The part of the planner
// (keep_plan.h) that counts; how a share is divided among heads is in engine/base/budget.h.
#include <algorithm>
#include <cmath>

#include "engine/base/model_config.h"
#include "engine/kv/keep_plan.h"
#include "engine/kv/profile.h"

namespace headroom {
namespace {

std::span<const SlotTag> held_by(std::span<const HeadContents> heads, size_t head) {
  return heads.empty() ? std::span<const SlotTag>() : heads[head].tags;
}

/// One value per head. Heads that hold nothing differ in their layer's window only, and a model has few windows.
template <typename Count>
auto count_heads(const ModelShape& shape, std::span<const HeadContents> heads, Count count) {
  using Value = decltype(count(int32_t{}, std::span<const SlotTag>()));
  std::vector<Value> values;
  std::vector<std::pair<int32_t, Value>> of_empty_heads;  // by window
  for (int32_t head = 0; head < shape.n_heads(); ++head) {
    const int32_t window = shape.window_of(head);
    const std::span<const SlotTag> held = held_by(heads, static_cast<size_t>(head));
    if (!held.empty()) {
      values.push_back(count(window, held));
      continue;
    }
    const auto known = std::find_if(of_empty_heads.begin(), of_empty_heads.end(),
                                    [&](const auto& entry) { return entry.first == window; });
    values.push_back(known != of_empty_heads.end() ? known->second
                                                   : of_empty_heads.emplace_back(window, count(window, held)).second);
  }
  return values;
}

/// What heads could protect under a bound in bytes.
std::vector<HeadClaims> head_claims(const ModelShape& shape, const CacheConfig& config, const PrefillStage& prefill,
                                    std::span<const HeadContents> heads) {
  const Policy policy = config.policy_set.front();
  return count_heads(shape, heads, [&](int32_t window, std::span<const SlotTag> held) {
    // No last tokens in this rule: they are counted apart, since the others stay when the last ones move on.
    const KeepRule rule = make_budget_rule(policy, {}, prefill.n_tokens(), window, 0);
    HeadClaims claims{.n_reach = prefill.n_tokens() - rule.reach_from};
    if (!policy.has(Policy::local)) claims.n_last = 0;
    for (const std::span<const SlotTag> tags : {held, prefill.new_tags})
      for (const SlotTag tag : tags) {
        const int32_t position = tag_position(tag);
        if (position < rule.reach_from || !rule.keeps_always(position, tag_class(tag))) continue;
        if (position < n_first_tokens)
          ++claims.n_first;
        else
          claims.by_class.push_back(position);
      }
    std::sort(claims.by_class.begin(), claims.by_class.end());
    return claims;
  });
}

}  // namespace

std::vector<HeadCapacity> head_capacities(const ModelShape& shape, const CacheConfig& config,
                                          const PrefillStage& prefill, std::span<const HeadContents> heads,
                                          int32_t n_last) {
  return count_heads(shape, heads, [&](int32_t window, std::span<const SlotTag> held) {
    const KeepRule rule = make_budget_rule(config.policy_set.front(), {}, prefill.n_tokens(), window, n_last);
    return HeadCapacity{.n_reach = prefill.n_tokens() - rule.reach_from,
                        .n_protected = count_keys(held, rule).n_always + count_keys(prefill.new_tags, rule).n_always};
  });
}

int32_t n_last_of_budgets(const CacheConfig& config) {
  return config.kv_budget_bytes > 0 ? n_last_of_answer : n_last_of_prompt;
}

std::vector<HeadBudget> plan_budgets(const ModelShape& shape, const CacheConfig& config, const PrefillStage& prefill,
                                     std::span<const HeadContents> heads, int32_t n_last) {
  Protection protection;
  std::vector<HeadCapacity> capacities;
  if (config.kv_budget_bytes > 0) {
    const std::vector<HeadClaims> claims = head_claims(shape, config, prefill, heads);
    protection = protection_in_bytes(claims, config.kv_budget_bytes, shape.page_bytes);
    for (const HeadClaims& claim : claims) capacities.push_back({claim.n_reach, claim.n_protected(protection)});
  } else {
    capacities = head_capacities(shape, config, prefill, heads, n_last);
  }
  const std::vector<int32_t> wanted = shared_budgets(config, config.keep, capacities);
  std::vector<HeadBudget> budgets;
  if (config.kv_budget_bytes > 0) {
    const std::vector<int32_t> bounded = shared_budgets_in_bytes(config, config.keep, capacities, shape.page_bytes);
    if (bounded != wanted) {
      for (size_t head = 0; head < bounded.size(); ++head)
        budgets.push_back(
            {.tokens = bounded[head], .of_tokens = capacities[head].n_reach, .grows = false, .protection = protection});
      return budgets;
    }
  }
  // A head that holds exactly what is protected grows by its share from there on, not by all that is protected now.
  std::vector<HeadCapacity> unprotected = capacities;
  for (HeadCapacity& capacity : unprotected) capacity.n_protected = 0;
  const std::vector<int32_t> shares = shared_budgets(config, config.keep, unprotected);
  for (size_t head = 0; head < wanted.size(); ++head)
    budgets.push_back(
        {.tokens = wanted[head] == capacities[head].n_protected ? std::min(wanted[head], shares[head]) : wanted[head],
         .of_tokens = capacities[head].n_reach,
         .grows = true,
         .protection = protection});
  return budgets;
}

std::vector<HeadBudget> plan_pooled_budgets(const CacheConfig& config, int32_t n_tokens, int32_t window,
                                            std::span<const std::vector<SlotTag>> tags,
                                            std::span<const std::vector<float>> scores) {
  const KeepRule rule = make_budget_rule(config.policy_set.front(), {}, n_tokens, window, n_last_of_prompt);
  std::vector<HeadCapacity> capacities;
  std::vector<std::vector<float>> competing;
  for (size_t h = 0; h < tags.size(); ++h) {
    HeadCapacity& capacity = capacities.emplace_back(HeadCapacity{.n_reach = n_tokens - rule.reach_from});
    std::vector<float>& of_head = competing.emplace_back();
    for (size_t j = 0; j < tags[h].size(); ++j) {
      const int32_t position = tag_position(tags[h][j]);
      if (position < rule.reach_from) continue;
      if (rule.keeps_always(position, tag_class(tags[h][j])))
        ++capacity.n_protected;
      else
        of_head.push_back(scores[h][j] == scores[h][j] ? scores[h][j] : -3e38f);  // NaN is last
    }
  }
  const std::vector<int32_t> tokens = pooled_budgets(config.keep, capacities, competing);
  std::vector<HeadBudget> budgets;
  for (size_t h = 0; h < tokens.size(); ++h) {
    const auto even = static_cast<int32_t>(std::lround(config.keep * capacities[h].n_reach));
    budgets.push_back({.tokens = tokens[h] == capacities[h].n_protected ? std::min(tokens[h], even) : tokens[h],
                       .of_tokens = capacities[h].n_reach,
                       .grows = true});
  }
  return budgets;
}

int64_t ByteBound::bytes_after(const ModelShape& shape, const CacheConfig& config, int32_t n_tokens, SlotTag next,
                               std::span<const HeadContents> heads) {
  std::vector<int32_t> tokens(heads.size());
  const auto bytes = [&] {
    for (size_t h = 0; h < heads.size(); ++h) {
      const int32_t n_reach = reachable_tokens(n_tokens + 1, shape.window_of(static_cast<int32_t>(h)));
      tokens[h] = std::max(heads[h].choice->budget.at(n_reach), n_always_[h] + n_steps_since_count_);
    }
    return budget_bytes(tokens, shape.page_bytes);
  };
  ++n_steps_since_count_;
  if (!n_always_.empty()) {
    const int64_t at_most = bytes();
    if (at_most <= config.kv_budget_bytes) return at_most;
  }
  n_steps_since_count_ = 0;
  n_always_.clear();
  for (size_t h = 0; h < heads.size(); ++h) {
    const KeepRule rule =
        rule_of(*heads[h].choice, config, n_tokens + 1, shape.window_of(static_cast<int32_t>(h)), n_last_of_answer);
    n_always_.push_back(count_keys(heads[h].tags, rule).n_always + count_keys({&next, 1}, rule).n_always);
  }
  return bytes();
}

std::optional<std::vector<HeadBudget>> ByteBound::budgets_for(const ModelShape& shape, const CacheConfig& config,
                                                              int32_t n_tokens, SlotTag next,
                                                              std::span<const HeadContents> heads) {
  if (bytes_after(shape, config, n_tokens, next, heads) <= config.kv_budget_bytes) return std::nullopt;
  std::vector<HeadBudget> budgets =
      plan_budgets(shape, config, {.n_before = n_tokens, .new_tags = {&next, 1}}, heads, n_last_of_answer);
  // Once growing budgets reach the bound, they are frozen at what fits.
  for (HeadBudget& budget : budgets) budget.grows = false;
  forget();
  return budgets;
}

}  // namespace headroom
