// The cache of a conversation: the plain bookkeeping of engine/kv joined with the pages that a backend holds.
// Everything that changes what a head keeps goes through here, so that the two never differ.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/base/model_config.h"
#include "engine/base/policy.h"
#include "engine/kv/head_cache.h"
#include "engine/kv/turn_log.h"

namespace headroom {

/// One layer's prefill as it stands before anything was thrown away.
struct LayerPrefill {
  int32_t layer = 0;
  KvScratch kv;                       // rows 0 … n_new - 1 are the turn's tokens
  std::span<const SlotTag> new_tags;  // (n_new)
  int32_t n_held_columns = 0;         // of col and win before the turn's own columns
  Matrix col, win;                    // (n_heads, n_held_columns + n_new); null buffer: nothing was measured
};

class KvStore final : private SlabOwner {
 public:
  KvStore(const ModelConfig& model, Backend& backend, const CacheConfig& config);

  int32_t n_tokens() const { return n_tokens_; }
  const CacheConfig& config() const { return config_; }
  /// For an empty cache. Throws Error(unsupported), with nothing changed, where the pages cannot have its type.
  void set_config(const CacheConfig& config);
  const PageLayout& layout() const { return caches_.pool().layout(); }
  /// A profile is worth its cost only where something depends on attention.
  bool needs_statistics() const;
  const HeadCaches& caches() const { return caches_; }
  int32_t head_index(int32_t layer, int32_t kv_head) const { return layer * model_.n_kv_heads + kv_head; }
  std::vector<HeadView> head_views(int32_t layer) const;
  int32_t longest_head(int32_t layer) const;
  int64_t peak_bytes() const { return peak_bytes_; }
  int64_t turn_log_bytes() const { return log_.bytes(); }

  /// Forgets everything; slabs go back.
  void clear();

  // A turn: begin_turn, then for each layer compact_layer, then end_prefill; steps; undo goes back to a mark.
  enum class Mark { turn, answer };
  void begin_turn();
  /// Chooses each head's policy (in a first turn, and with at least 64 new tokens), keeps what it keeps, frees the
  /// rest.
  void compact_layer(const LayerPrefill& layer);
  void end_prefill(int32_t n_new);
  void begin_answer() { mark(); }
  /// From now on nothing can be undone.
  void forget_marks() { log_.clear(); }
  bool can_undo(Mark to) const;
  int32_t n_tokens_at(Mark at) const { return log_.n_tokens(static_cast<size_t>(at)); }
  /// The cache as it stood at the mark, slot by slot, bit for bit. If memory runs out on the way, the cache is empty
  /// afterwards and false comes back.
  bool undo(Mark to);
  void count_scratch(int64_t bytes);  // prefill scratch counts towards the peak

  /// One token at position n_tokens: begin gives every head room (throws out_of_memory with nothing changed), finish
  /// takes the backend's report over.
  void begin_step(TokenClass token_class);
  StepReport finish_step();
  /// A step began and did not finish: some layers may have evicted what others still hold, so only clear() is left.
  bool is_step_open() const { return is_step_open_; }

  std::vector<float> scores(int32_t head) const;
  std::vector<uint16_t> rows(int32_t head, std::span<const int32_t> slots) const;

 private:
  void add_slab(int32_t slab) override { backend_.add_slab(slab); }
  void remove_slab(int32_t slab) override { backend_.remove_slab(slab); }

  HeadView view(int32_t head) const;
  void mark();
  void compact_head(const LayerPrefill& layer, int32_t kv_head, std::span<const float> col, std::span<const float> win);
  void rebuild(int32_t head, KvScratch kv, std::span<const uint16_t> log_rows, const std::vector<SlotSource>& slots);
  void move_pages();
  void note_peak();

  const ModelConfig& model_;
  Backend& backend_;
  CacheConfig config_;
  HeadCaches caches_;
  TurnLog log_;
  int32_t n_tokens_ = 0;
  int64_t scratch_bytes_ = 0;
  int64_t peak_bytes_ = 0;
  SlotTag step_tag_ = 0;
  bool is_step_open_ = false;
  std::vector<HeadView> step_views_;
  std::vector<KeepRule> step_rules_;
};

}  // namespace headroom
