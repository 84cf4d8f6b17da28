// The definitions of FastGen, one by one: budgets, kept sets, recovery over the attention maps, and their use in turns
// and steps. Must not use the engine's own rules, budgets or column sums.
#include "tests/support/fastgen_simulation.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace headroom::test {
namespace {

constexpr size_t min_rows_to_choose_anew = 64;

// Number of columns that the next token can still attend to; budgets are shares of it.
int32_t n_reachable(int32_t n_tokens, int32_t window) {
  return window > 0 && n_tokens > window - 1 ? window - 1 : n_tokens;
}

bool is_reachable(int32_t position, int32_t n_tokens, int32_t window) {
  return window == 0 || position > n_tokens - window;
}

int32_t n_local(int32_t n_tokens, int32_t window, const CacheConfig& config) {
  const auto w = static_cast<int32_t>(std::ceil(config.r_local * n_reachable(n_tokens, window)));
  return w < 1 ? 1 : w;
}

}  // namespace

std::set<int32_t> kept_positions(const SimulatedSlots& slots, Policy policy, int32_t n_tokens, int32_t window,
                                 const CacheConfig& config, double* margin, SimulatedBudget budget) {
  std::set<int32_t> kept;
  std::vector<std::pair<double, int32_t>> competing;  // (-score, position): sorts as the rule ranks
  for (const auto& [position, slot] : slots) {
    if (!is_reachable(position, n_tokens, window)) continue;
    const bool class_counts = budget.tokens < 0 || position >= budget.class_from || position <= 3;
    const int32_t n_last =
        budget.tokens >= 0 ? std::min(budget.n_last, budget.most_last) : n_local(n_tokens, window, config);
    const bool is_protected =
        policy == Policy{Policy::full} ||
        (policy.has(Policy::special) && slot.token_class == TokenClass::special && class_counts) ||
        (policy.has(Policy::punctuation) && slot.token_class == TokenClass::punctuation && class_counts) ||
        (policy.has(Policy::first) && position <= 3) || (policy.has(Policy::local) && position > n_tokens - 1 - n_last);
    if (is_protected)
      kept.insert(position);
    else
      competing.emplace_back(-slot.score, position);
  }
  if (margin != nullptr) *margin = std::numeric_limits<double>::infinity();
  if (!policy.has(Policy::frequent)) return kept;
  std::sort(competing.begin(), competing.end());
  auto n_frequent = static_cast<size_t>(std::ceil(config.r_frequent * n_reachable(n_tokens, window)));
  if (budget.tokens >= 0) {
    const int32_t n_reach = n_reachable(n_tokens, window);
    const auto total = static_cast<size_t>(
        budget.grows ? (int64_t{budget.tokens} * n_reach + budget.of_tokens / 2) / budget.of_tokens : budget.tokens);
    n_frequent = total > kept.size() ? total - kept.size() : 0;
  }
  for (size_t i = 0; i < competing.size() && i < n_frequent; ++i) kept.insert(competing[i].second);
  if (margin != nullptr && n_frequent > 0 && n_frequent < competing.size())
    *margin = competing[n_frequent].first - competing[n_frequent - 1].first;
  return kept;
}

double recovery(const SimulatedSlots& slots, const std::vector<AttentionMap>& maps, Policy policy, int32_t n_tokens,
                int32_t window, const CacheConfig& config) {
  const std::set<int32_t> kept = kept_positions(slots, policy, n_tokens, window, config);
  const int32_t w = n_local(n_tokens, window, config);
  double sum = 0, least = 0;
  for (size_t q_head = 0; q_head < maps.size(); ++q_head) {
    double kept_mass = 0, all_mass = 0;
    for (size_t row = 0; row < maps[q_head].size(); ++row) {
      const int32_t i = n_tokens - static_cast<int32_t>(maps[q_head].size() - row);
      for (const auto& [j, slot] : slots) {
        if (j > i || !is_reachable(j, n_tokens, window)) continue;
        const double a = maps[q_head][row][static_cast<size_t>(j)];
        all_mass += a;
        if (kept.count(j) == 1 || (policy.has(Policy::local) && i - j < w)) kept_mass += a;
      }
    }
    const double r = all_mass > 0 ? kept_mass / all_mass : 1;
    sum += r;
    least = q_head == 0 ? r : std::min(least, r);
  }
  return config.group == GroupReduce::min ? least : sum / static_cast<double>(maps.size());
}

std::set<int32_t> FastGenSimulation::turn(std::span<const TokenClass> classes, const std::vector<AttentionMap>& maps,
                                          std::span<const double> expected, std::span<const double> norms) {
  const bool is_anew = n_tokens_ == 0 || classes.size() >= min_rows_to_choose_anew;
  for (const TokenClass token_class : classes) slots_[n_tokens_++] = {token_class, 0};
  for (const AttentionMap& map : maps)
    if (map.size() != classes.size()) throw std::logic_error("a map has one row for each new token");
  score_turn(maps, expected, norms, is_anew);
  if (config_.budget != BudgetKind::fixed) {
    policy_ = config_.policy_set.front();
    set_budget(is_anew);
  } else if (is_anew) {
    policy_ = Policy{Policy::full};
    for (const Policy candidate : config_.policy_set) {
      const bool is_enough = config_.policy_set.size() == 1 || candidate == Policy{Policy::full} ||
                             recovery(slots_, maps, candidate, n_tokens_, window_, config_) >= config_.threshold;
      if (!is_enough) continue;
      policy_ = candidate;
      break;
    }
  }
  apply_policy(32);
  return held();
}

void FastGenSimulation::score_turn(const std::vector<AttentionMap>& maps, std::span<const double> expected,
                                   std::span<const double> norms, bool is_anew) {
  const bool starts_anew = is_anew && config_.score != TokenScore::accumulated;
  for (auto& [position, slot] : slots_) {
    if (starts_anew) slot.score = 0;
    if (starts_anew && config_.score == TokenScore::expected) slot.score = expected[static_cast<size_t>(position)];
  }
  if (starts_anew && config_.score == TokenScore::expected) return;
  if (starts_anew && config_.score == TokenScore::mixed) {
    // Tokens that stay even if no room is left for scores; they do not compete.
    const std::set<int32_t> protected_ones =
        kept_positions(slots_, config_.policy_set.front(), n_tokens_, window_, config_, nullptr, {0, n_tokens_, 32});
    const auto competes = [&](int32_t position) {
      return is_reachable(position, n_tokens_, window_) && protected_ones.count(position) == 0;
    };
    const auto add = [&](double weight, const std::map<int32_t, double>& term, std::map<int32_t, double>& to) {
      double total = 0;
      for (const auto& [position, value] : term) total += competes(position) ? value : 0;
      for (const auto& [position, value] : term)
        if (total > 0) to[position] += weight * value / total * 64 * static_cast<double>(maps.size());
    };
    std::map<int32_t, double> promised, received;
    for (const auto& [position, slot] : slots_) promised[position] = expected[static_cast<size_t>(position)];
    for (const auto& [weight, n_rows] : {std::pair<double, size_t>{2, maps.front().size()}, {1, 64}}) {
      std::map<int32_t, double> of_rows;
      for (const AttentionMap& map : maps)
        for (size_t row = map.size() - std::min(map.size(), n_rows); row < map.size(); ++row)
          for (const auto& [position, slot] : slots_)
            if (const auto j = static_cast<size_t>(position); j < map[row].size())
              of_rows[position] += map[row][j] * norms[j];
      add(weight, of_rows, received);
    }
    std::map<int32_t, double> sums = received;
    add(0.5, promised, sums);
    // The sums, largest first, go to the three columns that received most, then to the one with the largest expected
    // score, …
    std::multiset<double> left;
    std::set<int32_t> without;
    for (const auto& [position, slot] : slots_) {
      slots_[position].score = sums[position];
      if (!competes(position)) continue;
      left.insert(sums[position]);
      without.insert(position);
    }
    for (int32_t place = 0; !without.empty(); ++place) {
      std::map<int32_t, double>& by = place % 4 == 3 ? promised : received;
      const int32_t next =
          *std::max_element(without.begin(), without.end(), [&](int32_t a, int32_t b) { return by[a] < by[b]; });
      without.erase(next);
      slots_[next].score = *left.rbegin();
      left.erase(std::prev(left.end()));
    }
    return;
  }
  for (const AttentionMap& map : maps) {
    const size_t first = starts_anew && map.size() > 64 ? map.size() - 64 : 0;  // `recent`: the last rows only
    for (size_t row = first; row < map.size(); ++row)
      for (auto& [position, slot] : slots_)
        if (static_cast<size_t>(position) < map[row].size()) slot.score += map[row][static_cast<size_t>(position)];
  }
}

// With one head both kinds of budget are the share itself, or the protected tokens if those are more.
void FastGenSimulation::set_budget(bool is_anew) {
  if (config_.budget == BudgetKind::pooled && !is_anew) return;
  if (config_.kv_budget_bytes > 0) return set_budget_in_bytes();
  const int32_t n_reach = n_reachable(n_tokens_, window_);
  const auto share = static_cast<int32_t>(std::llround(config_.keep * n_reach));
  budget_ = {std::min(n_reach, share), n_reach, 0};
}

/// Whole pages of 16 tokens, less one place for the next token.
int32_t FastGenSimulation::most_tokens() const {
  return static_cast<int32_t>(config_.kv_budget_bytes / page_bytes_) * 16 - 1;
}

/// Protects the first four tokens, the tokens with a protected class, and the last tokens. If these do not fit, the
/// oldest class-protected tokens lose their protection one by one; then the number of last tokens falls, down to 16.
void FastGenSimulation::set_budget_in_bytes() {
  const int32_t n_reach = n_reachable(n_tokens_, window_);
  SimulatedSlots by_class, first;
  for (const auto& [position, slot] : slots_) {
    if (!is_reachable(position, n_tokens_, window_)) continue;
    const bool has_class = (policy_.has(Policy::special) && slot.token_class == TokenClass::special) ||
                           (policy_.has(Policy::punctuation) && slot.token_class == TokenClass::punctuation);
    if (position <= 3 && (has_class || policy_.has(Policy::first))) first[position] = slot;
    if (position > 3 && has_class) by_class[position] = slot;
  }
  int32_t class_from = 0, n_last = policy_.has(Policy::local) ? 64 : 0;
  const auto n_wanted = [&] {
    return std::min(n_reach, static_cast<int32_t>(first.size() + by_class.size()) + n_last);
  };
  while (n_wanted() > most_tokens() && !by_class.empty()) {
    class_from = by_class.begin()->first + 1;
    by_class.erase(by_class.begin());
  }
  while (n_wanted() > most_tokens() && n_last > 16) --n_last;
  const auto share = std::min(n_reach, static_cast<int32_t>(std::llround(config_.keep * n_reach)));
  const bool fits = std::max(share, n_wanted()) <= most_tokens();
  budget_ = {fits ? share : most_tokens(), n_reach, 0, fits, class_from, n_last};
}

/// Tokens held whatever their score, while an answer is generated.
int32_t FastGenSimulation::n_protected() const {
  SimulatedBudget none = budget_;
  none.tokens = 0;
  none.n_last = 64;
  return static_cast<int32_t>(kept_positions(slots_, policy_, n_tokens_, window_, config_, nullptr, none).size());
}

std::set<int32_t> FastGenSimulation::step(int32_t position, TokenClass token_class,
                                          std::span<const double> probabilities) {
  if (position != n_tokens_ || probabilities.size() != static_cast<size_t>(position) + 1)
    throw std::logic_error("a step takes the next position, and a probability for each position up to it");
  slots_[n_tokens_++] = {token_class, 0};
  for (auto& [held_position, slot] : slots_) slot.score += probabilities[static_cast<size_t>(held_position)];
  if (config_.kv_budget_bytes > 0) {
    const int64_t n_reach = n_reachable(n_tokens_, window_);
    const int64_t total =
        budget_.grows ? (budget_.tokens * n_reach + budget_.of_tokens / 2) / budget_.of_tokens : budget_.tokens;
    if (std::max<int64_t>(total, n_protected()) > most_tokens()) {
      set_budget_in_bytes();
      budget_.grows = false;
    }
  }
  apply_policy(64);
  return held();
}

std::set<int32_t> FastGenSimulation::held() const {
  std::set<int32_t> positions;
  for (const auto& [position, slot] : slots_) positions.insert(position);
  return positions;
}

void FastGenSimulation::apply_policy(int32_t n_last) {
  double margin = 0;
  budget_.n_last = n_last;
  const std::set<int32_t> kept = kept_positions(slots_, policy_, n_tokens_, window_, config_, &margin, budget_);
  margin_ = std::min(margin_, margin);
  for (auto slot = slots_.begin(); slot != slots_.end();)
    slot = kept.count(slot->first) == 1 ? std::next(slot) : slots_.erase(slot);
}

}  // namespace headroom::test
