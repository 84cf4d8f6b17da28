// A conversation with one model on one backend: the whole data path of a turn, in order, and the state of every head
// after it. Prints nothing; whoever shows it gives a TurnObserver. To look into a cache step by step: cache_lab.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/base/policy.h"
#include "engine/kv/undo_log.h"
#include "engine/run/model.h"
#include "engine/run/prompt.h"
#include "engine/run/sampler.h"

namespace headroom {

struct SessionOptions {
  CacheConfig cache;      // find_cache_config("paper") with changes
  int32_t n_ctx = 0;      // 0: the model's, at most what memory allows
  UndoLimits undo_log{};  // how much host memory makes turns undoable
};

struct TurnOptions {
  SamplerOptions sampler;
  int32_t max_tokens = -1;  // -1: to the end of the turn; 0: prefill only
  std::vector<std::string> stop_strings;
  bool ignore_end_of_turn = false;
};

struct PrefillProgress {
  int32_t layer = 0;  // layers done
  int32_t n_layers = 0;
  int32_t n_tokens = 0;  // that are prefilled
  double fraction = 0;   // 0 … 1, of the whole prefill
};

/// What became of the cache when a turn began.
enum class CacheAction { first_turn, appended, undone, re_encoded, trimmed };
std::string_view cache_action_name(CacheAction action);

struct TurnStart {
  CacheAction action = CacheAction::first_turn;
  std::string_view reason;       // a sentence
  std::span<const TokenId> ids;  // of the conversation before the answer
  int32_t n_cached = 0;          // of them in the cache; the others are read now
};

/// One token that went through the model: every head took its position in, then some let positions go.
struct TokenStep {
  int32_t position = 0;
  TokenId id = 0;
  std::span<const Eviction> evictions;  // maybe of the same position
};

/// Called from the thread that runs the turn; the session may be looked at from every call.
class TurnObserver {
 public:
  virtual ~TurnObserver() = default;
  virtual void on_turn_start(const TurnStart&) {}  // before anything is read
  virtual void on_prefill(const PrefillProgress&) {}
  virtual void on_cache_rebuilt() {}  // by anything but single tokens: undone, emptied, prefilled
  virtual void on_step(const TokenStep&) {}
  virtual void on_token(TokenId, std::string_view) {}  // drawn; and the text that is complete with it, as in on_text
  virtual void on_text(std::string_view) {}            // whole characters only
  virtual bool stop_requested() {
    return false;
  }  // asked between blocks, between tokens,
     // and while a chat template writes the prompt
};

enum class StopReason { end_of_turn, max_tokens, stop_string, cancelled, context_full, out_of_memory };
std::string_view stop_reason_name(StopReason reason);  // "end_of_turn", …

struct TopLogit {
  TokenId id = 0;
  float logit = 0;
};

struct TurnResult {
  int32_t n_prompt_tokens = 0;     // tokens in the conversation before the answer
  int32_t n_prefilled_tokens = 0;  // of them computed in this turn
  CacheAction action = CacheAction::first_turn;
  std::string action_reason;  // why, in a sentence
  std::vector<TokenId> ids;   // generated, without the end-of-turn token
  std::string text;           // of ids; without the stop string
  StopReason stop_reason = StopReason::end_of_turn;
  std::string stop_message;               // for people: context_full, out_of_memory, what was left out of the prompt
  std::vector<TopLogit> first_token_top;  // the ten largest logits after the prompt
  double prefill_ms = 0;
  double profile_ms = 0;  // of it: profiling, choosing, compacting
  double generate_ms = 0;
  double prompt_tokens_per_s = 0;
  double generate_tokens_per_s = 0;
};

struct HeadState {
  int32_t layer = 0;
  int32_t kv_head = 0;
  std::vector<double> recovery;  // one for each policy of the set, reduced over the group
  HeadProfile profile;           // of every union of parts; zeros where CacheState::has_profile is false
  Policy policy;
  HeadBudget budget;  // tokens it may hold; none with `fixed` budgets
  int32_t kept_tokens = 0;
  int32_t pages = 0;
  int64_t bytes = 0;  // of its pages
};

struct CacheState {
  int32_t n_tokens = 0;
  CacheConfig config;            // under which it was built
  bool has_profile = false;      // the heads' recoveries were measured
  std::vector<HeadState> heads;  // layer-major
  int64_t kv_live_bytes = 0;
  int64_t kv_full_bytes = 0;
  int64_t kv_pool_bytes = 0;
  int64_t kv_peak_bytes = 0;  // most of pages and prefill scratch together, ever
  int64_t turn_log_bytes = 0;
  int64_t least_budget_bytes = 0;      // the least that kv_budget_bytes may be with pages of this type
  std::vector<int32_t> policy_counts;  // heads by policy of the set; one more at the end for `full` as fallback
                                       // where the set does not name it
};

class Session {
 public:
  /// Throws Error where the model does not fit the backend or the options contradict each other. The model and the
  /// backend must outlive the session.
  Session(const Model& model, Backend& backend, const SessionOptions& options);
  /// What can be refused of the options before there is a backend. Throws Error.
  static void check(const Model& model, const SessionOptions& options);
  ~Session();

  /// Moves to another backend, with an empty cache; the configuration stays. Throws Error where the model does not fit
  /// it; the session then has no backend, and only a call of this that succeeds makes it useful again.
  void change_backend(Backend& backend);
  const BackendInfo& backend_info() const;

  /// One turn: the conversation as it should stand (the last message is the user's), then the model's answer.
  /// The cache is continued, taken back to the newest mark that the ids share with it, or rebuilt, as they demand. A
  /// turn that is cancelled or fails during its prefill leaves the cache as the prefill found it. One that is cancelled
  /// before the prompt is made starts nothing: no on_turn_start, no tokens. Throws Error for input that is refused.
  TurnResult run_turn(const std::vector<ChatMessage>& messages, const TurnOptions& options, TurnObserver& observer);
  /// The same for ids that the caller made (raw prompts).
  TurnResult run_ids(std::vector<TokenId> ids, const TurnOptions& options, TurnObserver& observer);

  /// Brings the cache under the present configuration; the result has no answer. If the configuration only holds fewer
  /// tokens of the same order, the surplus is evicted without a forward pass. Otherwise the cache is rebuilt from its
  /// own ids exactly as a first turn does: in one prefill, or in a turn's two if the ids are just a turn's prompt. If
  /// that is cancelled or memory runs out, the cache is empty, and the next turn builds it.
  TurnResult re_encode(TurnObserver& observer);

  /// Takes the last turn back, exactly: the cache is what it was when that turn's prompt began to be read. False where
  /// nothing can be undone.
  bool undo_turn();

  /// Another configuration for the turns to come; what the cache holds is rebuilt when the next turn begins, or by
  /// re_encode.
  void set_cache_config(const CacheConfig& config);
  void clear();

  const std::vector<TokenId>& ids() const;  // in the cache
  int32_t n_ctx() const;
  /// As it was given, with the model's table of importance where it asks for one.
  const CacheConfig& cache_config() const;
  /// Of what the cache holds now; another configuration may change it when the cache is empty or rebuilt.
  int64_t page_bytes() const;
  /// A sentence for the user about the configuration, such as that a calibration would help; may be empty.
  const std::string& cache_note() const;
  CacheState cache_state() const;
  /// Which positions each head holds.  (heads, ceil(n_tokens / 8)), bit p % 8 of byte p / 8
  std::vector<uint8_t> kept_bits() const;
  /// Positions that a head holds, ascending.
  std::vector<int32_t> kept_positions(int32_t layer, int32_t kv_head) const;

 protected:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The context that memory allows: tokens whose uncompressed cache and activations fit what is available now.
int32_t context_that_fits(const ModelConfig& config, int64_t available_bytes, CacheType type = CacheType::f16);

}  // namespace headroom
