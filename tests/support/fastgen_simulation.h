// FastGen on one KV head, from given attention probabilities ─► recovery, choice, and the tokens held after every turn
// and token. It follows the definitions directly and is slow. It is the oracle of the tests of the cache and the
// engine, and shares only the names of policies with them.
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
/// (0 if the row does not attend to j). A row's length is its position plus one.
using AttentionMap = std::vector<std::vector<double>>;

/// What a head with a budget may hold; see HeadBudget. It is defined again here, since the simulation shares only
/// names.
struct SimulatedBudget {
  int32_t tokens = -1;
  int32_t of_tokens = 0;
  int32_t n_last = 0;  // protected
  bool grows = true;
  int32_t class_from = 0;    // tokens before it, but for the first four, are not protected by their class
  int32_t most_last = 1000;  // at most this many of n_last are protected
};

/// Positions of `slots` that the policy keeps when n_tokens are in the conversation.
/// margin: if given, receives the lowest kept score minus the highest evicted one (infinite if none competes). If it is
/// below the rounding of the tested program, the decision cannot be tested.
std::set<int32_t> kept_positions(const SimulatedSlots& slots, Policy policy, int32_t n_tokens, int32_t window,
                                 const CacheConfig& config, double* margin = nullptr, SimulatedBudget budget = {});

/// Attention mass that the policy keeps, row by row, divided by the mass of all reachable columns; reduced over the
/// query heads. maps: one per query head; the last row is the token at n_tokens - 1.
double recovery(const SimulatedSlots& slots, const std::vector<AttentionMap>& maps, Policy policy, int32_t n_tokens,
                int32_t window, const CacheConfig& config);

class FastGenSimulation {
 public:
  /// page_bytes: needed only if the configuration has a byte bound.
  FastGenSimulation(CacheConfig config, int32_t window, int64_t page_bytes = 0)
      : config_(std::move(config)), window_(window), page_bytes_(page_bytes) {}

  /// Adds a turn's new tokens, chooses the policy (in the first turn, and later if there are at least 64 new tokens),
  /// then applies it. Returns the positions held afterwards.
  /// maps: one per query head, over the held and the new columns.
  /// expected: expected attention by position; norms: norms of the value vectors by position. Both are for
  /// configurations that rank by them.
  std::set<int32_t> turn(std::span<const TokenClass> classes, const std::vector<AttentionMap>& maps,
                         std::span<const double> expected = {}, std::span<const double> norms = {});

  /// Adds a generated token at the next position, which attends to the held tokens and to itself. Returns the positions
  /// held afterwards. probabilities: (position + 1), summed over the query group; 0 for positions that are not held.
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
