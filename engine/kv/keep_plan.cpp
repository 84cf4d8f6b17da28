// One layer's measurements ─► each head's scores, profile, policy and kept keys. See keep_plan.h.
#include "engine/kv/keep_plan.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "engine/base/model_config.h"
#include "engine/kv/expected_attention.h"
#include "engine/kv/mixed_score.h"
#include "engine/kv/profile.h"

namespace headroom {
namespace {

/// The keys of one head without gaps, and what they are ranked and judged by.
struct HeadKeys {
  std::vector<SlotTag> tags;
  std::vector<float> scores;
  // (n_group, keys) and (n_windows, n_group, keys); empty if no profile is made of them.
  std::vector<float> attention_mass{}, windowed_mass{};
  int32_t own_window = -1;  // the window of the configuration's r_local; -1: it was not measured

  size_t size() const { return tags.size(); }
  KeyStats stats(int32_t n_group, int32_t window) const {
    const size_t n_values = static_cast<size_t>(n_group) * size();
    return {.n_group = n_group,
            .stride = static_cast<int64_t>(size()),
            .attention_mass = attention_mass,
            .windowed_mass = std::span(windowed_mass).subspan(static_cast<size_t>(window) * n_values, n_values),
            .tags = tags,
            .scores = scores};
  }
};

/// One layer under one configuration: what all of its heads have in common.
struct LayerPlanner {
  const ModelShape& shape;
  const CacheConfig& config;
  const PrefillStage& prefill;
  int32_t window;  // the layer's sliding window
  const LayerMeasurements& measured;

  int32_t n_group() const { return shape.n_group; }
  bool is_solving() const { return prefill.is_first() && solves_threshold(config); }

  /// Rows without the gap that lies behind the slots of a head that holds fewer than the longest.
  std::vector<float> dense(std::span<const float> from, int32_t n_rows, int32_t n_held) const {
    const size_t n_keys = static_cast<size_t>(n_held + prefill.n_new());
    std::vector<float> to(static_cast<size_t>(n_rows) * n_keys);
    for (int32_t r = 0; r < n_rows; ++r) {
      const float* row = from.data() + r * measured.stride;
      float* out = std::copy(row, row + n_held, to.data() + static_cast<size_t>(r) * n_keys);
      std::copy(row + measured.n_held_keys, row + measured.n_held_keys + prefill.n_new(), out);
    }
    return to;
  }

  /// Adds what the query group gave.  mass: (n_group, keys)
  std::vector<float> grown(std::vector<float> scores, std::span<const float> mass) const {
    for (size_t j = 0; j < scores.size(); ++j) {
      double sum = scores[j];
      for (size_t g = 0; g < static_cast<size_t>(n_group()); ++g) sum += mass[g * scores.size() + j];
      scores[j] = static_cast<float>(sum);
    }
    return scores;
  }

  /// Keys that compete by their scores at the end of the prompt.
  std::vector<bool> competing(std::span<const SlotTag> tags) const {
    const KeepRule rule = make_budget_rule(config.policy_set.front(), {}, prefill.n_tokens(), window, n_last_of_prompt);
    std::vector<bool> competes;
    for (const SlotTag tag : tags)
      competes.push_back(tag_position(tag) >= rule.reach_from && !rule.keeps_always(tag_position(tag), tag_class(tag)));
    return competes;
  }

  HeadKeys gather(int32_t kv_head, const HeadContents& slots) const {
    const auto n_held = static_cast<int32_t>(slots.tags.size());
    HeadKeys keys{.tags = {slots.tags.begin(), slots.tags.end()}, .scores = {slots.scores.begin(), slots.scores.end()}};
    keys.tags.insert(keys.tags.end(), prefill.new_tags.begin(), prefill.new_tags.end());
    keys.scores.resize(keys.size());
    const auto group_rows = [&](const std::vector<float>& of, int32_t first_row = 0) {
      return dense(measured.rows(of, first_row + kv_head * n_group(), n_group()), n_group(), n_held);
    };
    const PrefillMeasures needed = needed_measures(config, prefill);
    if (needed.expected) {
      const int32_t reach_from = prefill.n_tokens() - reachable_tokens(prefill.n_tokens(), window);
      const std::vector<float> norms = dense(measured.rows(measured.value_norms, kv_head, 1), 1, n_held);
      keys.scores = expected_scores(n_group(), group_rows(measured.expected_scores_raw),
                                    static_cast<int64_t>(keys.size()), norms, keys.tags, reach_from);
      if (needed.recent_mass)  // `mixed`
        keys.scores = mixed_scores(n_group(), keys.scores, group_rows(measured.attention_mass),
                                   group_rows(measured.recent_mass), norms, competing(keys.tags));
    } else if (needed.recent_mass) {
      keys.scores = grown(std::vector<float>(keys.size()), group_rows(measured.recent_mass));
    } else if (needed.attention_mass) {
      keys.attention_mass = group_rows(measured.attention_mass);
      keys.scores = grown(std::move(keys.scores), keys.attention_mass);
      const int32_t n_heads = shape.n_kv_heads * n_group();
      for (int32_t w = 0; needed.n_windows > 0 && w < measured.measures.n_windows; ++w) {
        const std::vector<float> mass = group_rows(measured.windowed_mass, w * n_heads);
        keys.windowed_mass.insert(keys.windowed_mass.end(), mass.begin(), mass.end());
        if (measured.measures.window_shares[static_cast<size_t>(w)] == config.r_local) keys.own_window = w;
      }
    }
    return keys;
  }

  /// Policy and profile.
  void choose(const HeadKeys& keys, HeadPlan& plan) const {
    if (is_solving()) {
      for (size_t w = 0; w < solved_shares.size(); ++w) {
        CacheConfig with_share = config;
        with_share.r_local = with_share.r_frequent = solved_shares[w];
        plan.by_share.push_back(
            profile_head(keys.stats(n_group(), static_cast<int32_t>(w)), prefill.n_tokens(), window, with_share));
      }
      plan.choice.policy = Policy{Policy::full};  // until all heads are known
    } else if (config.budget != BudgetKind::fixed || keys.own_window < 0) {
      if (prefill.is_first() || config.budget != BudgetKind::fixed) plan.choice.policy = config.policy_set.front();
    } else if (prefill.chooses_anew()) {
      plan.choice.profile = profile_head(keys.stats(n_group(), keys.own_window), prefill.n_tokens(), window, config);
      plan.choice.policy = choose_policy(plan.choice.profile, config);
    }
  }

  void keep(const HeadKeys& keys, HeadPlan& plan) const {
    plan.kept =
        select_kept(keys.tags, keys.scores, rule_of(plan.choice, config, prefill.n_tokens(), window, n_last_of_prompt));
    for (const int32_t key : plan.kept) {
      plan.tags.push_back(keys.tags[static_cast<size_t>(key)]);
      plan.scores.push_back(keys.scores[static_cast<size_t>(key)]);
    }
    if (config.budget == BudgetKind::fixed || prefill.rows != PrefillRows::message) return;
    // Heads with a budget have no recoveries: the share of the scores that is kept stands for them.
    double all = 0, held = 0;
    for (const float score : keys.scores) all += score;
    for (const float score : plan.scores) held += score;
    plan.choice.profile = {};
    plan.choice.profile.recoveries[plan.choice.policy.parts] = all > 0 ? std::min(held / all, 1.0) : 1;
  }
};

}  // namespace

bool has_profiles(const CacheConfig& config) {
  return config.policy_set.size() != 1 || config.policy_set.front() != Policy{Policy::full};
}

bool solves_threshold(const CacheConfig& config) {
  return config.budget == BudgetKind::fixed && config.policy_set.size() > 1 && config.keep > 0;
}

PrefillMeasures needed_measures(const CacheConfig& config, const PrefillStage& prefill) {
  PrefillMeasures needed;
  if (!has_profiles(config)) return needed;
  if (config.budget == BudgetKind::fixed) {
    needed.attention_mass = true;
    needed.n_windows = 1;
    needed.window_shares = {config.r_local};
    if (prefill.is_first() && solves_threshold(config)) {
      needed.n_windows = static_cast<int32_t>(solved_shares.size());
      needed.window_shares = solved_shares;
    }
  } else if (config.score == TokenScore::accumulated || !prefill.chooses_anew()) {
    needed.attention_mass = true;  // few queries say little: scores grow by the attention received, as in an answer
  } else {
    needed.attention_mass = config.score == TokenScore::mixed;
    needed.recent_mass = config.score == TokenScore::recent || config.score == TokenScore::mixed;
    needed.expected = config.score == TokenScore::expected || config.score == TokenScore::mixed;
  }
  return needed;
}

PrefillMeasures all_measures() {
  return {.attention_mass = true,
          .n_windows = static_cast<int32_t>(solved_shares.size()),
          .window_shares = solved_shares,
          .recent_mass = true,
          .expected = true};
}

bool is_covered_by_all_measures(const CacheConfig& config) {
  return config.budget != BudgetKind::fixed || solves_threshold(config) || config.policy_set.size() == 1 ||
         std::find(solved_shares.begin(), solved_shares.end(), config.r_local) != solved_shares.end();
}

KeepRule rule_of(const HeadChoice& choice, const CacheConfig& config, int32_t n_tokens, int32_t window,
                 int32_t n_last) {
  if (choice.budget.tokens >= 0) return make_budget_rule(choice.policy, choice.budget, n_tokens, window, n_last);
  return make_keep_rule(choice.policy, n_tokens, window, config.r_local, config.r_frequent);
}

std::vector<HeadPlan> plan_layer(const ModelShape& shape, const CacheConfig& config, const PrefillStage& prefill,
                                 int32_t layer, const LayerMeasurements& measured,
                                 std::span<const HeadContents> heads) {
  assert(heads.size() == static_cast<size_t>(shape.n_kv_heads));
  const LayerPlanner planner{shape, config, prefill, shape.windows[static_cast<size_t>(layer)], measured};
  std::vector<HeadKeys> keys;
  std::vector<HeadPlan> plans(heads.size());
  for (size_t h = 0; h < heads.size(); ++h) {
    plans[h].choice = *heads[h].choice;
    keys.push_back(planner.gather(static_cast<int32_t>(h), heads[h]));
    planner.choose(keys[h], plans[h]);
  }
  if (config.budget == BudgetKind::pooled && prefill.chooses_anew()) {
    std::vector<std::vector<SlotTag>> tags;
    std::vector<std::vector<float>> scores;
    for (const HeadKeys& of_head : keys) tags.push_back(of_head.tags), scores.push_back(of_head.scores);
    const std::vector<HeadBudget> budgets =
        plan_pooled_budgets(config, prefill.n_tokens(), planner.window, tags, scores);
    for (size_t h = 0; h < heads.size(); ++h) plans[h].choice.budget = budgets[h];
  }
  for (size_t h = 0; h < heads.size(); ++h) planner.keep(keys[h], plans[h]);
  return plans;
}

SolvedPlan solve_for_keep(const ModelShape& shape, const CacheConfig& config, int32_t n_tokens,
                          std::span<const HeadContents> heads, std::span<const std::vector<HeadProfile>> by_share) {
  std::vector<SolvedHead> solved_heads;
  for (size_t h = 0; h < heads.size(); ++h)
    solved_heads.push_back(
        {.profiles = by_share[h], .tags = heads[h].tags, .window = shape.window_of(static_cast<int32_t>(h))});
  const SolvedThreshold solved = solve_threshold(solved_heads, n_tokens, config);
  SolvedPlan plan{.config = config, .choices = {}};
  plan.config.r_local = plan.config.r_frequent = solved_shares[solved.share];
  plan.config.threshold = solved.threshold;
  for (size_t h = 0; h < heads.size(); ++h) {
    HeadChoice& choice = plan.choices.emplace_back(*heads[h].choice);
    choice.profile = by_share[h][solved.share];
    choice.policy = choose_policy(choice.profile, plan.config);
  }
  return plan;
}

HeadPlan plan_held(const ModelShape& shape, const CacheConfig& config, int32_t head, int32_t n_tokens,
                   const HeadContents& slots) {
  HeadPlan plan{.choice = *slots.choice};
  plan.kept = select_kept(slots.tags, slots.scores,
                          rule_of(plan.choice, config, n_tokens, shape.window_of(head), n_last_of_prompt));
  for (const int32_t slot : plan.kept) {
    plan.tags.push_back(slots.tags[static_cast<size_t>(slot)]);
    plan.scores.push_back(slots.scores[static_cast<size_t>(slot)]);
  }
  return plan;
}

PrefillPlan plan_prefill(const ModelShape& shape, const CacheConfig& config, const PrefillMeasurements& measured) {
  assert(is_covered_by_all_measures(config));
  const PrefillStage prefill{.n_before = 0, .new_tags = measured.tags};
  PrefillPlan plan{.config = config, .heads = {}};
  std::vector<HeadChoice> choices(static_cast<size_t>(shape.n_heads()));
  if (config.budget == BudgetKind::shared) {
    const std::vector<HeadBudget> budgets = plan_budgets(shape, config, prefill, {}, n_last_of_budgets(config));
    for (size_t h = 0; h < budgets.size(); ++h) choices[h].budget = budgets[h];
  }
  for (int32_t layer = 0; layer < shape.n_layers(); ++layer) {
    std::vector<HeadContents> heads(static_cast<size_t>(shape.n_kv_heads));
    for (size_t h = 0; h < heads.size(); ++h)
      heads[h].choice = &choices[static_cast<size_t>(layer * shape.n_kv_heads) + h];
    for (HeadPlan& head : plan_layer(shape, config, prefill, layer, measured.layers[static_cast<size_t>(layer)], heads))
      plan.heads.push_back(std::move(head));
  }
  if (!solves_threshold(config)) return plan;

  std::vector<HeadContents> whole;
  std::vector<std::vector<HeadProfile>> by_share;
  for (HeadPlan& head : plan.heads) {
    whole.push_back({head.tags, head.scores, &head.choice});
    by_share.push_back(std::move(head.by_share));
  }
  SolvedPlan solved = solve_for_keep(shape, config, prefill.n_tokens(), whole, by_share);
  plan.config = std::move(solved.config);
  for (size_t h = 0; h < whole.size(); ++h) {
    whole[h].choice = &solved.choices[h];
    HeadPlan cut = plan_held(shape, plan.config, static_cast<int32_t>(h), prefill.n_tokens(), whole[h]);
    for (int32_t& kept : cut.kept) kept = plan.heads[h].kept[static_cast<size_t>(kept)];
    plan.heads[h] = std::move(cut);
  }
  return plan;
}

}  // namespace headroom
