// The cache of a conversation: the plain bookkeeping of engine/kv joined with the pages that a backend holds.
// Everything that changes what a head keeps goes through here, so that the two never differ. What a head keeps is
// decided by the planner (engine/kv/keep_plan.h); this class measures, applies the plan, steps and undoes.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/base/model_config.h"
#include "engine/base/policy.h"
#include "engine/kv/head_cache.h"
#include "engine/kv/keep_plan.h"
#include "engine/kv/measurements.h"
#include "engine/kv/undo_log.h"

namespace headroom {

/// One layer's prefill as it stands before anything was evicted. A null buffer: it was not measured.
struct LayerPrefill {
  int32_t layer = 0;
  KvScratch kv;  // rows 0 … n_new - 1 are the turn's tokens
  PrefillMeasures measures;
  int32_t n_held_keys = 0;  // of the matrices, before the turn's own keys
  // As in AttendPrefill and ExpectedAttention.
  Matrix attention_mass{}, windowed_mass{}, recent_mass{};
  Matrix expected_scores_raw{}, value_norms{};
};

class KvStore final : private SlabOwner {
 public:
  KvStore(const ModelConfig& model, Backend& backend, const CacheConfig& config, UndoLimits limits = {});

  int32_t n_tokens() const { return n_tokens_; }
  const CacheConfig& config() const { return config_; }
  /// For an empty cache. Throws Error(unsupported), with nothing changed, where the pages cannot have its type.
  void set_config(const CacheConfig& config);
  const PageLayout& layout() const { return caches_.pool().layout(); }
  const HeadCaches& caches() const { return caches_; }
  int32_t head_index(int32_t layer, int32_t kv_head) const { return layer * model_.n_kv_heads + kv_head; }
  std::vector<HeadView> head_views(int32_t layer) const;
  int32_t longest_head(int32_t layer) const;
  int64_t peak_bytes() const { return peak_bytes_; }
  int64_t turn_log_bytes() const { return log_.bytes(); }

  /// Forgets everything; slabs go back.
  void clear();

  // A turn: begin_turn; begin_prefill, then for each layer compact_layer, then end_prefill, once or with
  // begin_generation between two; begin_answer; steps. Each of the three sets a mark, and undo goes back to one. Where
  // memory does not suffice, marks are given up, oldest first, and not the turn.
  void begin_turn();
  void begin_generation() { mark(MarkKind::generation, {}); }
  /// logits: that follow the prompt
  void begin_answer(std::span<const float> logits = {}) { mark(MarkKind::answer, logits); }
  /// Sets the heads' budgets if they are shared, and returns what the prefill has to measure.
  PrefillMeasures begin_prefill(std::span<const SlotTag> new_tags, PrefillRows rows = PrefillRows::message);
  /// Fetches what was measured, chooses each head's policy (in a first turn, and with at least 64 new tokens of a
  /// message), keeps what it keeps and frees the rest. Returns the measurements, for choose_under.
  LayerMeasurements compact_layer(const LayerPrefill& layer);
  /// Solves for the threshold if it follows from `keep`, since all heads are measured now.
  void end_prefill();

  /// Every head keeps what it would keep after a prefill of its own under this configuration. The cache stands at the
  /// end of the prefill that was measured, and holds all of it that is within reach. The measurements cover the
  /// configuration, and its cache type is the cache's.
  void choose_under(const CacheConfig& config, const PrefillMeasurements& measured);
  /// Throws Error where a bound in bytes is less than what a conversation of any length needs.
  void check_budget_bytes(const CacheConfig& config) const;
  int64_t least_budget_bytes(CacheType type) const;
  /// Takes over a configuration whose heads hold a part of what they hold now: nothing is read again. False where that
  /// is not so, or memory ran out on the way: the cache is to be built anew then. Nothing before it can be undone.
  bool trim(const CacheConfig& config);
  /// Lets one head go down to its best tokens; from there its budget grows again with the conversation.
  void cut_head(int32_t head, int32_t n_tokens);
  std::vector<int32_t> budgets_under(const CacheConfig& config) const;
  /// From now on nothing can be undone.
  void forget_marks() { log_.clear(); }
  /// The marks that can be gone back to.
  const UndoLog& log() const { return log_; }
  /// True where nothing happened since the newest mark.
  bool is_at_newest_mark() const { return is_at_newest_mark_; }
  /// The cache as it stood at the mark, slot by slot, bit for bit. If memory runs out on the way, the cache is empty
  /// afterwards and false comes back.
  bool undo(size_t mark);
  void count_scratch(int64_t bytes);  // prefill scratch counts towards the peak

  /// One token at position n_tokens: begin gives every head room and makes the program ready (throws out_of_memory with
  /// nothing changed), finish runs it and takes the backend's report over.
  void begin_step(StepProgram& program, TokenId id, TokenClass token_class);
  /// result: what the program hands out
  StepReport finish_step(std::span<float> result);
  /// A step began and did not finish: some layers may have evicted what others still hold, so only clear() is left.
  bool is_step_open() const { return is_step_open_; }

  std::vector<float> scores(int32_t head) const { return scores(head, 1).front(); }
  /// Of neighbouring heads.
  std::vector<std::vector<float>> scores(int32_t first_head, int32_t n_heads) const;
  std::vector<uint16_t> rows(int32_t head, std::span<const int32_t> slots) const;

 private:
  void add_slab(int32_t slab) override;
  void remove_slab(int32_t slab) override { backend_.remove_slab(slab); }

  HeadView view(int32_t head) const;
  void mark(MarkKind kind, std::span<const float> logits);
  void log_row(int32_t head, int32_t position, std::span<const uint16_t> row);
  PrefillStage running_prefill() const { return {n_tokens_, prefill_.tags, prefill_.rows}; }
  PrefillStage no_prefill() const { return {.n_before = n_tokens_, .new_tags = {}}; }
  /// All heads as the planner reads them, without scores, which are on the device.
  std::vector<HeadContents> contents() const;
  void set_budgets(std::span<const HeadBudget> budgets);
  void hold_budget_bytes(TokenClass next_class);
  /// What a head holds from now on.
  struct NewSlots {
    int32_t head = 0;
    std::vector<SlotSource> slots;            // in their new order; what is held comes first, ascending
    std::span<const uint16_t> log_rows = {};  // that they come from
  };
  NewSlots planned(int32_t head, const HeadPlan& plan, int32_t n_gone);
  void log_lost(std::span<const NewSlots> heads);
  void keep_held(int32_t first_head, int32_t n_heads);
  void rebuild(std::span<const NewSlots> heads, KvScratch kv);
  void move_pages();
  void note_peak();

  const ModelConfig& model_;
  Backend& backend_;
  CacheConfig config_;
  HeadCaches caches_;
  ModelShape shape_;
  UndoLog log_;
  UndoLimits limits_;
  int32_t n_tokens_ = 0;
  bool is_at_newest_mark_ = false;
  bool is_going_back_ = false;  // the log is read: nothing of it may be given up
  /// From begin_prefill to end_prefill.
  struct RunningPrefill {
    std::vector<SlotTag> tags;
    PrefillRows rows = PrefillRows::message;
    std::vector<std::vector<float>> held_scores;     // (heads), as the prefill found them
    std::vector<std::vector<HeadProfile>> by_share;  // (heads so far) as in HeadPlan
  };
  RunningPrefill prefill_;
  ByteBound byte_bound_;
  int64_t scratch_bytes_ = 0;
  int64_t peak_bytes_ = 0;
  SlotTag step_tag_ = 0;
  bool is_step_open_ = false;
  std::vector<HeadView> step_views_;
  std::vector<KeepRule> step_rules_;
};

}  // namespace headroom
