// Event stream ─► the current state of the engine: model, conversation, the kept set of every head, counters over time.
// The window's panels, the replay of traces and the tests read only this; it knows no engine, no file and no window.
// Not thread-safe. The cost of applying an event depends on the event's size, not on the state's size. Values derived
// for every head or message are computed on demand.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/policy.h"
#include "engine/base/types.h"
#include "engine/telemetry/kept_sets.h"

namespace headroom {

namespace stream {
struct Event;
struct Hello;
struct LoadProgress;
struct Loaded;
struct LoadFailed;
struct TurnStarted;
struct Tokens;
struct PrefillProgress;
struct Snapshot;
struct CacheRebuilt;
struct Step;
struct Token;
struct TurnFinished;
struct TraceEnd;
}  // namespace stream

struct LoadedModel {
  std::string path, name, architecture, backend, device, template_note, template_name;
  std::vector<std::pair<std::string, std::string>> skipped;  // backend, reason
  int64_t file_bytes = 0;
  int32_t n_layers = 0, n_heads = 0, n_kv_heads = 0, head_dim = 0, n_vocab = 0, n_ctx = 0, n_ctx_train = 0;
  std::vector<int32_t> windows;  // (n_layers) sliding window in tokens, 0: none
  int32_t page_tokens = 0;
  int64_t page_bytes = 0;  // under the cache's current configuration
  bool has_template = false;

  int32_t n_kv_heads_total() const { return n_layers * n_kv_heads; }
};

/// A token of the conversation; the index is its position.
struct MirrorToken {
  TokenId id = 0;
  TokenClass token_class = TokenClass::plain;
  uint32_t text_begin = 0, text_end = 0;  // bytes in Mirror::token_text()
};

/// The current state of one KV head.
struct MirrorHead {
  Policy policy;
  HeadProfile profile;  // valid if Mirror::has_profile(). With a budget only the entry of the policy is valid: the
                        // share of the head's score that its kept tokens hold
  HeadBudget budget;    // tokens < 0: no budget
  int32_t kept_tokens = 0;
  int32_t pages = 0;
};

struct TurnNumbers {
  std::string stop_reason, message;
  int32_t n_prompt_tokens = 0, n_prefilled_tokens = 0, n_answer_tokens = 0;
  double prefill_ms = 0, profile_ms = 0, generate_ms = 0, first_token_ms = 0;
  double prompt_tokens_per_s = 0, generate_tokens_per_s = 0;
  int64_t kv_live_bytes = 0, kv_full_bytes = 0;  // when the turn ended
};

/// A message and its place among the tokens.
struct MirrorMessage {
  std::string role, content;
  std::vector<TokenId> ids;            // answers only
  int32_t drawn_at = -1;               // position of ids[0] when the answer was sampled; -1: not sampled on this stream
  int32_t token_begin = -1;            // first position whose bytes belong to content; -1: not found among the tokens
  int32_t token_end = -1;              // one past the last position
  uint32_t text_begin = 0;             // byte of token_text() that corresponds to byte content_begin of content
  uint32_t content_begin = 0;          // above 0 if the template removed leading white space
  std::optional<TurnNumbers> numbers;  // numbers of the turn that generated this answer
};

struct RunningTurn {
  uint64_t turn_id = 0;
  std::string action, reason;  // how the cache is reused, and why
  int32_t n_prompt_tokens = 0, n_cached_tokens = 0;
  double prefill_fraction = 0;
  int32_t prefill_layer = 0, n_prefill_layers = 0;  // layers finished, and their total; 0 and 0: no progress event yet
  int32_t n_prefill_tokens = 0;                     // tokens being prefilled
  bool is_generating = false;                       // true once prefill has ended
  double started_ms = 0;
  double generating_since_ms = 0;
  int32_t n_generated = 0;
  std::vector<uint32_t> text_ends{};  // (n_generated) end of each Token's text in the answer's content
};

/// Counters at one moment; one entry per Snapshot.
struct MirrorSample {
  double time_ms = 0;
  int32_t n_tokens = 0;
  int64_t kv_live_bytes = 0, kv_full_bytes = 0, kv_pool_bytes = 0;
};

class Mirror {
 public:
  /// Applies an event. Throws Error if the event contradicts itself or earlier events; then nothing has changed.
  void apply(const stream::Event& event);
  /// A new stream begins: a running turn is ended, and the next event must be a Hello. The conversation and the other
  /// shown state stay until events of the new stream replace them.
  void stream_restarted();

  // --- model and loading
  const LoadedModel* model() const { return model_ ? &*model_ : nullptr; }
  /// True if a model is open on this stream. After stream_restarted, model() still returns the former one.
  bool is_open() const { return is_open_; }
  bool is_loading() const { return is_loading_; }
  const std::string& load_stage() const { return load_stage_; }
  double load_fraction() const { return load_fraction_; }
  const std::string& load_error() const { return load_error_; }  // of the last load; empty if it succeeded
  const std::string& failure() const { return failure_; }        // the last Failure, for a banner

  // --- conversation
  /// True if messages and tokens are from a former model or stream; the next turn replaces them.
  bool is_stale() const { return is_stale_ && !(messages_.empty() && tokens_.empty()); }
  const std::vector<MirrorMessage>& messages() const;  // the last one can be an answer that is being generated
  const std::optional<RunningTurn>& turn() const { return turn_; }
  const std::optional<TurnNumbers>& last_turn() const { return last_turn_; }
  uint64_t last_turn_id() const { return last_turn_id_; }
  const std::string& last_action() const { return last_action_; }  // of the last TurnStarted
  const std::string& last_action_reason() const { return last_action_reason_; }

  // --- tokens
  /// Tokens of the conversation; the first n_cached() are in the cache. While an answer is generated, the last token
  /// has been sampled but has not gone through the model; its class is `plain` until then.
  std::span<const MirrorToken> tokens() const { return tokens_; }
  std::string_view token_text() const { return token_text_; }
  std::string_view text_of(int32_t position) const;
  /// Position of the token that holds a byte of a message's content, or -1.
  int32_t token_at(const MirrorMessage& message, size_t content_byte) const;
  /// Begin and end of the bytes of the message's content that a token covers; begin == end if it covers none.
  std::pair<size_t, size_t> content_bytes_of(const MirrorMessage& message, int32_t position) const;

  // --- cache
  int32_t n_cached() const { return n_cached_; }
  const CacheConfig& config() const { return config_; }          // the configuration that the cache was built with
  const std::string& cache_note() const { return cache_note_; }  // about the configuration, for people; may be empty
  bool has_profile() const { return has_profile_; }
  std::span<const MirrorHead> heads() const;  // layer-major; empty until a model is open
  bool holds(int32_t head, int32_t position) const;
  int32_t n_heads_holding(int32_t position) const;          // among all KV heads
  std::vector<int32_t> kept_positions(int32_t head) const;  // ascending
  /// Bit p % 8 of byte p / 8: the head holds position p.  (ceil(n_cached() / 8))
  std::vector<uint8_t> kept_bits(int32_t head) const { return kept_.bits(head); }
  const MirrorSample& now() const { return now_; }
  int64_t kv_peak_bytes() const { return kv_peak_bytes_; }
  int64_t turn_log_bytes() const { return turn_log_bytes_; }
  int64_t resident_bytes() const { return resident_bytes_; }
  std::span<const MirrorSample> history() const { return history_; }  // since the model was opened

  // --- stream
  double time_ms() const { return time_ms_; }      // of the last event; never goes back on one stream
  uint64_t n_events() const { return n_events_; }  // applied on this stream, Hello included
  uint64_t version() const { return version_; }    // grows with every change; panels use it to cache what they draw
  bool is_closed() const { return is_closed_; }    // a TraceEnd was applied
  /// Approximate size of a copy of this Mirror.
  size_t memory_bytes() const;

 private:
  static constexpr size_t no_message = SIZE_MAX;
  static constexpr int32_t no_position = INT32_MAX;

  void take(const stream::Event& event);
  void take(const stream::Hello& hello);
  void take(const stream::LoadProgress& progress);
  void take(const stream::Loaded& loaded);
  void take(const stream::TurnStarted& started, double time_ms);
  void take(const stream::Tokens& tokens);
  void take(const stream::PrefillProgress& progress);
  void take(const stream::CacheRebuilt& rebuilt, double time_ms);
  void take(const stream::Step& step);
  void take(const stream::Token& token, double time_ms);
  void take(const stream::TurnFinished& finished);
  void take(const stream::TraceEnd& end);
  void take(const stream::LoadFailed& failed);

  void check_open(const char* what) const;
  void check_running(uint64_t turn_id) const;
  void check_id(TokenId id) const;
  void check(const stream::Snapshot& snapshot, std::span<const int32_t> n_kept, int64_t page_bytes) const;
  void change(const stream::Snapshot& snapshot, double time_ms);
  void check_evictions(const stream::Step& step) const;
  size_t n_heads() const { return static_cast<size_t>(kept_.n_heads()); }
  void begin_answer();
  void forget_conversation();
  void forget_if_stale();
  void add_token(TokenId id, TokenClass token_class, std::string_view text);
  void cut_tokens(int32_t n_tokens);
  void cut_cache(int32_t n_tokens);
  int32_t n_known_messages() const { return is_stale_ ? 0 : static_cast<int32_t>(messages_.size()); }
  int32_t n_known_tokens() const { return is_stale_ ? 0 : static_cast<int32_t>(tokens_.size()); }
  // engine/telemetry/mirror_text.cpp
  void tokens_changed(int32_t first_position);
  void messages_changed(size_t first);
  void locate_messages() const;
  bool locate_drawn(MirrorMessage& message) const;
  void locate_written(MirrorMessage& message, size_t text_from, size_t& budget) const;
  int32_t token_of_byte(size_t text_byte) const;

  std::optional<LoadedModel> model_;
  bool is_loading_ = false;
  std::string load_stage_;
  double load_fraction_ = 0;
  std::string load_error_, failure_;
  mutable std::vector<MirrorMessage> messages_;
  size_t message_bytes_ = 0;  // of all messages, counted by StreamLimits::message_bytes
  // Messages are located among the tokens on demand. To be located: messages from first_unlocated_ on, all messages
  // that were not found, and those that end at or after first_changed_. An answer that was cut there may continue.
  mutable size_t first_unlocated_ = no_message;
  mutable int32_t first_changed_ = no_position;
  std::optional<RunningTurn> turn_;
  bool has_answer_ = false;  // the last message is the running turn's answer
  std::optional<TurnNumbers> last_turn_;
  uint64_t last_turn_id_ = 0;
  std::string last_action_, last_action_reason_;
  std::vector<MirrorToken> tokens_;
  std::string token_text_;
  int32_t n_cached_ = 0;
  CacheConfig config_;
  std::string cache_note_;
  bool has_profile_ = false;
  KeptSets kept_;               // has as many heads as the model
  std::vector<int32_t> pages_;  // (heads) from the last Snapshot; empty: no Snapshot yet
  // (heads), or empty until heads() is called. Kept tokens and pages are valid only if is_counted_ is true.
  mutable std::vector<MirrorHead> heads_;
  mutable bool is_counted_ = false;
  MirrorSample now_;
  int64_t kv_peak_bytes_ = 0, turn_log_bytes_ = 0, resident_bytes_ = 0;
  std::vector<MirrorSample> history_;
  double time_ms_ = 0;
  uint64_t n_events_ = 0, version_ = 0;
  bool is_open_ = false;   // a model is open on this stream; if false, model_ can be that of the former stream
  bool is_stale_ = false;  // messages and tokens are from a former model or stream: shown, but never continued
  bool is_closed_ = false;
};

}  // namespace headroom
