// FastGen on one KV head, from given attention probabilities: recovery, choice, and what is held after every turn and
// token, straight from the definitions and as slow as they are. The oracle of the cache's and the engine's tests; it
// shares only the names of policies with what it judges.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "engine/base/policy.h"

namespace headroom::test {

struct SimulatedSlot {
  TokenClass token_class = TokenClass::plain;
  double score = 0;  // attention accumulated over all turns, summed over the query group
};
using SimulatedSlots = std::map<int32_t, SimulatedSlot>;  // by position

/// A query head's attention in one turn: row t is the turn's t-th token, entry j the probability of position j
/// (0 where the row does not attend to j). Rows are as long as their position plus one.
using AttentionMap = std::vector<std::vector<double>>;

/// What a head with a budget may hold; see HeadBudget. Restated here, since the simulation shares names only.
struct SimulatedBudget {
  int32_t tokens = -1;
  int32_t of_tokens = 0;
  int32_t n_last = 0;  // protected
  bool grows = true;
  int32_t class_from = 0;    // tokens before it, but for the first four, are not protected by their class
  int32_t most_last = 1000;  // of n_last so many are protected, at most
};

/// Positions that the policy keeps of these when n_tokens are in the conversation.
/// margin: if given, how much the last score that stays exceeds the first that leaves (infinite where none competes):
/// a decision closer than the judged program's rounding cannot be judged.
std::set<int32_t> kept_positions(const SimulatedSlots& slots, Policy policy, int32_t n_tokens, int32_t window,
                                 const CacheConfig& config, double* margin = nullptr, SimulatedBudget budget = {});

/// Mass that the policy keeps, row by row, over the mass of all columns within reach; reduced over the query heads.
/// maps: one for each query head; the last row is the token at n_tokens - 1.
double recovery(const SimulatedSlots& slots, const std::vector<AttentionMap>& maps, Policy policy, int32_t n_tokens,
                int32_t window, const CacheConfig& config);

class FastGenSimulation {
 public:
  /// page_bytes: where the configuration has a bound in bytes.
  FastGenSimulation(CacheConfig config, int32_t window, int64_t page_bytes = 0)
      : config_(std::move(config)), window_(window), page_bytes_(page_bytes) {}

  /// A turn's new tokens: what is held grows by them, the policy is chosen (in the first turn, and later with at least
  /// 64 new tokens), then applied. Returns the positions held afterwards.
  /// maps: one for each query head, over the held and the new columns.
  /// expected: by position, the score that queries to come promise; norms: of the values, by position; for
  /// configurations that rank by them.
  std::set<int32_t> turn(std::span<const TokenClass> classes, const std::vector<AttentionMap>& maps,
                         std::span<const double> expected = {}, std::span<const double> norms = {});

  /// A generated token at the next position, which attends to what is held and to itself. Returns the positions held
  /// afterwards.  probabilities: (position + 1), by position, summed over the query group; 0 where nothing is held
  std::set<int32_t> step(int32_t position, TokenClass token_class, std::span<const double> probabilities);

  int32_t n_tokens() const { return n_tokens_; }
  Policy policy() const { return policy_; }
  const SimulatedSlots& slots() const { return slots_; }
  std::set<int32_t> held() const;
  /// The closest decision by score so far; see kept_positions.
  double margin() const { return margin_; }

 private:
  void score_turn(const std::vector<AttentionMap>& maps, std::span<const double> expected,
                  std::span<const double> norms, bool is_anew);
  void set_budget(bool is_anew);
  int32_t most_tokens() const;
  void set_budget_in_bytes();
  int32_t n_protected() const;
  void apply_policy(int32_t n_last);

  CacheConfig config_;
  int32_t window_;
  int64_t page_bytes_;
  int32_t n_tokens_ = 0;
  Policy policy_;
  SimulatedBudget budget_;
  SimulatedSlots slots_;
  double margin_ = std::numeric_limits<double>::infinity();
};

}  // namespace headroom::test
