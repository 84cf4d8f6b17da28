// Measurements, slots, a configuration and the model's shape ─► what every head keeps: its policy, profile and budget,
// and its keys in slot order. The one place that decides this. A prefill asks it, every generated token does, an
// evaluation of many configurations from one prefill, and the window's what-if. Pure functions of plain numbers: no
// backend, no device pointer, no page.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/budget.h"
#include "engine/base/policy.h"
#include "engine/kv/head_choice.h"
#include "engine/kv/measurements.h"

namespace headroom {

/// What the planner knows of a model. Heads are KV heads, layer-major.
struct ModelShape {
  int32_t n_kv_heads = 0;        // per layer
  int32_t n_group = 1;           // query heads per KV head
  std::vector<int32_t> windows;  // (n_layers): sliding window in tokens; 0: none
  int64_t page_bytes = 0;        // under the configuration's cache type

  int32_t n_layers() const { return static_cast<int32_t>(windows.size()); }
  int32_t n_heads() const { return n_layers() * n_kv_heads; }
  int32_t window_of(int32_t head) const { return windows[static_cast<size_t>(head / n_kv_heads)]; }
};

/// What a prefill reads. A generation prompt is prefilled on its own behind the message. Its few rows are alike in
/// every turn, so they choose nothing.
enum class PrefillRows : uint8_t { message, generation_prompt };

/// A prefill, before anything is measured.
struct PrefillStage {
  int32_t n_before = 0;               // tokens of the conversation before it
  std::span<const SlotTag> new_tags;  // of its own tokens
  PrefillRows rows = PrefillRows::message;

  int32_t n_new() const { return static_cast<int32_t>(new_tags.size()); }
  int32_t n_tokens() const { return n_before + n_new(); }
  bool is_first() const { return n_before == 0; }
  /// A later turn chooses policies anew from at least 64 queries of a message; fewer say too little about a head.
  bool chooses_anew() const { return is_first() || (rows == PrefillRows::message && n_new() >= 64); }
};

/// A head as it stands before a plan.
struct HeadContents {
  std::span<const SlotTag> tags;       // in slot order
  std::span<const float> scores;       // the same order; budgets do not need them
  const HeadChoice* choice = nullptr;  // forecasts and budgets of a prefill do not need it
};

/// What one head keeps. A key is a token that the head could keep: first its slots, in slot order, then the new tokens.
struct HeadPlan {
  HeadChoice choice;
  std::vector<int32_t> kept{};  // keys, ascending: the new slots in order
  std::vector<SlotTag> tags{};  // (kept)
  std::vector<float> scores{};  // (kept)
  /// If a threshold is to be solved for: the profile with each of solved_shares. Else empty.
  std::vector<HeadProfile> by_share{};
};

// --- what is measured ---

/// True if heads have recoveries, or a share of their scores, that say how well their choice fits.
bool has_profiles(const CacheConfig& config);
/// True if the threshold follows from `keep`, once all heads of a first prefill are measured.
bool solves_threshold(const CacheConfig& config);
PrefillMeasures needed_measures(const CacheConfig& config, const PrefillStage& prefill);
PrefillMeasures all_measures();
/// False if the configuration needs something that all_measures lacks: a local window of an unusual share.
bool is_covered_by_all_measures(const CacheConfig& config);

// --- plans ---

/// What the heads of one layer keep. If a threshold is to be solved for, everything; apply solve_for_keep then.
/// heads: (n_kv_heads) of the layer; with `shared` budgets their choices hold those of plan_budgets already
std::vector<HeadPlan> plan_layer(const ModelShape& shape, const CacheConfig& config, const PrefillStage& prefill,
                                 int32_t layer, const LayerMeasurements& measured, std::span<const HeadContents> heads);

/// The configuration with the threshold and the shares that give its `keep`, and each head's choice under it.
struct SolvedPlan {
  CacheConfig config;
  std::vector<HeadChoice> choices;  // (heads)
};
/// heads: (heads) with all of their tokens; by_share: (heads) as plan_layer returned it
SolvedPlan solve_for_keep(const ModelShape& shape, const CacheConfig& config, int32_t n_tokens,
                          std::span<const HeadContents> heads, std::span<const std::vector<HeadProfile>> by_share);

/// Slots that a head keeps under its choice, without new tokens.
HeadPlan plan_held(const ModelShape& shape, const CacheConfig& config, int32_t head, int32_t n_tokens,
                   const HeadContents& slots);

/// What a prefill of its own would leave under the configuration, from the measurements of another one. The
/// configuration is covered by all measures.
struct PrefillPlan {
  CacheConfig config;  // with the threshold that was solved for
  std::vector<HeadPlan> heads;
};
PrefillPlan plan_prefill(const ModelShape& shape, const CacheConfig& config, const PrefillMeasurements& measured);

/// The rule that a choice gives for n_tokens. n_last: n_last_of_prompt or n_last_of_answer
KeepRule rule_of(const HeadChoice& choice, const CacheConfig& config, int32_t n_tokens, int32_t window, int32_t n_last);

// --- budgets (keep_budgets.cpp) ---

/// What each head could hold of its slots and the new tokens, and what the policy protects of them.
/// heads: (heads), or empty for an empty cache
std::vector<HeadCapacity> head_capacities(const ModelShape& shape, const CacheConfig& config,
                                          const PrefillStage& prefill, std::span<const HeadContents> heads,
                                          int32_t n_last);
/// `shared` budgets of all heads. Throws Error if a bound in bytes does not hold what is protected.
std::vector<HeadBudget> plan_budgets(const ModelShape& shape, const CacheConfig& config, const PrefillStage& prefill,
                                     std::span<const HeadContents> heads, int32_t n_last);
/// The last tokens that `shared` budgets protect when a prompt is planned. A bound in bytes protects those of an answer
/// from the start, because it has to hold while the answer is generated.
int32_t n_last_of_budgets(const CacheConfig& config);
/// `pooled` budgets of one layer's heads.
/// tags, scores: (heads) of (keys)
std::vector<HeadBudget> plan_pooled_budgets(const CacheConfig& config, int32_t n_tokens, int32_t window,
                                            std::span<const std::vector<SlotTag>> tags,
                                            std::span<const std::vector<float>> scores);

/// Holds a bound in bytes while tokens are generated. Counting what heads protect reads every slot, so it counts only
/// when an upper bound does not suffice: between two counts a head protects at most one token more per step.
class ByteBound {
 public:
  /// Other budgets once the pages with the next token would exceed the bound; nothing while they do not.
  /// n_tokens: before that token
  std::optional<std::vector<HeadBudget>> budgets_for(const ModelShape& shape, const CacheConfig& config,
                                                     int32_t n_tokens, SlotTag next,
                                                     std::span<const HeadContents> heads);
  /// The heads hold something else now, or have other budgets.
  void forget() { n_always_.clear(); }

 private:
  int64_t bytes_after(const ModelShape& shape, const CacheConfig& config, int32_t n_tokens, SlotTag next,
                      std::span<const HeadContents> heads);

  std::vector<int32_t> n_always_;  // (heads) kept without a look at their score, when they were counted; empty: never
  int32_t n_steps_since_count_ = 0;
};

// --- forecast (keep_forecast.cpp) ---

/// What a prefill of all tokens would leave, without the attention between them.
struct KeepForecast {
  std::vector<Policy> policies;      // (heads)
  std::vector<int32_t> kept_tokens;  // (heads); with `pooled` budgets an even share, whichever head gets more
  double threshold = 0;              // the configuration's, or the one that its `keep` is solved for with
};
/// profiles: (heads) with the configuration's shares; only `fixed` budgets need them. Throws Error as plan_budgets and
/// check_budget_bytes.
KeepForecast forecast_keep(const ModelShape& shape, const CacheConfig& config, std::span<const SlotTag> tags,
                           std::span<const HeadProfile> profiles);

}  // namespace headroom
