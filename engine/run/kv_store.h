// The cache of a conversation: the plain bookkeeping of engine/kv joined with the pages that a backend holds.
// Everything that changes what a head keeps goes through here, so that the two never differ.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/base/budget.h"
#include "engine/base/model_config.h"
#include "engine/base/policy.h"
#include "engine/kv/head_cache.h"
#include "engine/kv/undo_log.h"

namespace headroom {

/// What a prefill has to measure for a configuration. Statistics cost time: only what something depends on is taken.
struct PrefillMeasures {
  bool columns = false;                           // col
  int32_t n_win = 0;                              // win, for as many local windows
  std::array<double, max_win_sums> win_shares{};  // r_local of each
  bool recent = false;                            // col of the last rows
  bool expected = false;                          // moments of the queries, expected attention

  bool any() const { return columns || recent || expected; }
};
inline constexpr int32_t n_recent_rows = 64;

/// One layer's prefill as it stands before anything was thrown away. A null buffer: it was not measured.
struct LayerPrefill {
  int32_t layer = 0;
  KvScratch kv;                       // rows 0 … n_new - 1 are the turn's tokens
  std::span<const SlotTag> new_tags;  // (n_new)
  int32_t n_held_columns = 0;         // of the matrices, before the turn's own columns
  Matrix col{}, win{}, recent{};      // as in AttendPrefill
  Matrix logits{}, norms{};           // as in ExpectedAttention
};

/// What a prefill reads. A generation prompt is read on its own behind the message: its few rows, which are alike in
/// every turn, choose nothing.
enum class PrefillRows : uint8_t { message, generation_prompt };

class KvStore final : private SlabOwner {
 public:
  KvStore(const ModelConfig& model, Backend& backend, const CacheConfig& config, UndoLimits limits = {});

  int32_t n_tokens() const { return n_tokens_; }
  const CacheConfig& config() const { return config_; }
  /// For an empty cache. Throws Error(unsupported), with nothing changed, where the pages cannot have its type.
  void set_config(const CacheConfig& config);
  const PageLayout& layout() const { return caches_.pool().layout(); }
  /// True where heads have recoveries, or a share of their scores, that say how well their choice fits.
  bool has_profiles() const;
  /// For a prefill of n_new tokens behind what is held.
  PrefillMeasures measures(int32_t n_new) const { return keeps_measurements_ ? all_measures() : needed(n_new); }
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
  /// Sets the heads' budgets, where they are shared.
  void begin_prefill(std::span<const SlotTag> new_tags, PrefillRows rows = PrefillRows::message);
  /// Chooses each head's policy (in a first turn, and with at least 64 new tokens of a message), keeps what it keeps,
  /// frees the rest.
  void compact_layer(const LayerPrefill& layer);
  void end_prefill(int32_t n_new);

  // One prefill for many configurations: what it measures stays in host memory, and any configuration of the same pages
  // chooses from it, as its own prefill would.
  /// For the first prefill of an empty cache, under a configuration that keeps everything.
  void keep_measurements() { keeps_measurements_ = true; }
  bool has_measurements() const { return !measured_.empty(); }
  /// False where something is not measured: a local window whose share is not among solved_shares.
  static bool is_covered_by_measurements(const CacheConfig& config);
  /// The cache stands at the end of that prefill; the configuration is covered, and its pages are those that it has.
  void choose_under(const CacheConfig& config);
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

  /// One token at position n_tokens: begin gives every head room (throws out_of_memory with nothing changed), finish
  /// takes the backend's report over.
  void begin_step(TokenClass token_class);
  StepReport finish_step();
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
  /// A layer's measurements in host memory; empty where a matrix was not measured.
  struct Statistics {
    PrefillMeasures measures;
    int64_t stride = 0;  // of every row
    std::vector<float> col, win, recent, logits, norms;

    std::span<const float> rows(const std::vector<float>& of, int32_t first, int32_t count) const {
      if (of.empty()) return {};
      return std::span(of).subspan(static_cast<size_t>(first * stride), static_cast<size_t>(count * stride));
    }
  };
  struct Columns;
  bool is_solving() const;
  bool is_first_choice() const { return n_tokens_ == 0 || is_choosing_again_; }
  bool chooses_anew(int32_t n_new) const;
  static PrefillMeasures all_measures();
  PrefillMeasures needed(int32_t n_new) const;
  void choose_layer(const LayerPrefill& layer, const Statistics& statistics);
  std::vector<HeadCapacity> rooms(std::span<const SlotTag> new_tags, const CacheConfig& config, int32_t n_last) const;
  std::vector<HeadClaims> claims(std::span<const SlotTag> new_tags, const CacheConfig& config) const;
  int32_t window_of(int32_t head) const { return model_.layers[static_cast<size_t>(head / model_.n_kv_heads)].window; }
  std::vector<HeadBudget> plan_budgets(std::span<const SlotTag> new_tags, const CacheConfig& config,
                                       int32_t n_last) const;
  void hold_budget_bytes(TokenClass next_class);
  int64_t bytes_after_step(SlotTag next);
  void budgets_changed() { n_always_.clear(); }
  KeepRule rule_of(int32_t head, int32_t n_tokens, int32_t n_last) const;
  Columns gather(const LayerPrefill& layer, const Statistics& statistics, int32_t kv_head) const;
  void choose(const LayerPrefill& layer, int32_t kv_head, const Columns& columns);
  void pool_budgets(const LayerPrefill& layer, std::span<const Columns> heads);
  /// What a head holds from now on.
  struct NewSlots {
    int32_t head = 0;
    std::vector<SlotSource> slots;            // in their new order; what is held comes first, ascending
    std::span<const uint16_t> log_rows = {};  // that they come from
  };
  NewSlots keep(const LayerPrefill& layer, int32_t kv_head, const Columns& columns);
  void solve();
  void log_lost(std::span<const NewSlots> heads);
  void keep_held(int32_t first_head, int32_t n_heads);
  void rebuild(std::span<const NewSlots> heads, KvScratch kv);
  void move_pages();
  void note_peak();

  const ModelConfig& model_;
  Backend& backend_;
  CacheConfig config_;
  HeadCaches caches_;
  UndoLog log_;
  UndoLimits limits_;
  int32_t n_tokens_ = 0;
  bool is_at_newest_mark_ = false;
  bool is_going_back_ = false;  // the log is read: nothing of it may be given up
  PrefillRows rows_ = PrefillRows::message;
  std::vector<std::vector<float>> held_scores_;  // (heads), as the running prefill found them
  std::vector<int32_t> n_always_;    // (heads) kept without a look at their score, when they were counted; empty: never
  int32_t n_steps_since_count_ = 0;  // each may have added one
  std::vector<std::array<HeadProfile, max_win_sums>> solving_;  // (heads) while a threshold is solved for
  bool keeps_measurements_ = false;
  bool is_choosing_again_ = false;
  std::vector<Statistics> measured_;    // (layers) of the first prefill, for choose_under
  std::vector<SlotTag> measured_tags_;  // of its tokens, those out of reach too
  int64_t scratch_bytes_ = 0;
  int64_t peak_bytes_ = 0;
  SlotTag step_tag_ = 0;
  bool is_step_open_ = false;
  std::vector<HeadView> step_views_;
  std::vector<KeepRule> step_rules_;
};

}  // namespace headroom
