// Event stream ─► what is known of the engine at this moment: model, conversation, every head's kept set, counters over
// time. The window's panels, the replay of a trace and the tests read this and nothing else; it knows no engine, no
// file and no window. One thread at a time. An event costs what it says, not what there is: what follows for every
// head or message is worked out when somebody asks.
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
  int64_t page_bytes = 0;  // under the configuration that the cache has
  bool has_template = false;

  int32_t n_kv_heads_total() const { return n_layers * n_kv_heads; }
};

/// A token of the conversation, by its position.
struct MirrorToken {
  TokenId id = 0;
  TokenClass token_class = TokenClass::plain;
  uint32_t text_begin = 0, text_end = 0;  // bytes in Mirror::token_text()
};

/// One KV head as it stands.
struct MirrorHead {
  Policy policy;
  HeadProfile profile;  // meaningful where Mirror::has_profile(); with a budget only that of the policy is, and says
                        // which share of the head's score its kept tokens hold
  HeadBudget budget;    // tokens < 0: none
  int32_t kept_tokens = 0;
  int32_t pages = 0;
};

struct TurnNumbers {
  std::string stop_reason, message;
  int32_t n_prompt_tokens = 0, n_prefilled_tokens = 0, n_answer_tokens = 0;
  double prefill_ms = 0, profile_ms = 0, generate_ms = 0, first_token_ms = 0;
  double prompt_tokens_per_s = 0, generate_tokens_per_s = 0;
  int64_t kv_live_bytes = 0, kv_full_bytes = 0;  // as they stood when the turn ended
};

/// A message and where it stands among the tokens.
struct MirrorMessage {
  std::string role, content;
  std::vector<TokenId> ids;            // of an answer
  int32_t drawn_at = -1;               // position of ids[0] when this answer was drawn; -1: it was not drawn here
  int32_t token_begin = -1;            // first position whose bytes belong to content; -1: not found among the tokens
  int32_t token_end = -1;              // one behind the last
  uint32_t text_begin = 0;             // byte of token_text() where content (without leading white space that the
  uint32_t content_begin = 0;          // template cut off: byte content_begin of it) begins
  std::optional<TurnNumbers> numbers;  // of the turn that this answer ended
};

struct RunningTurn {
  uint64_t turn_id = 0;
  std::string action, reason;  // what became of the cache
  int32_t n_prompt_tokens = 0, n_cached_tokens = 0;
  double prefill_fraction = 0;
  int32_t prefill_layer = 0, n_prefill_layers = 0;  // layers done, of how many; 0 of 0: nothing was said yet
  int32_t n_prefill_tokens = 0;                     // that are being read
  bool is_generating = false;                       // the prompt is read
  double started_ms = 0;
  double generating_since_ms = 0;
  int32_t n_generated = 0;
  std::vector<uint32_t> text_ends{};  // (n_generated) of each Token's text in the answer's content
};

/// Counters at one moment; one entry a snapshot.
struct MirrorSample {
  double time_ms = 0;
  int32_t n_tokens = 0;
  int64_t kv_live_bytes = 0, kv_full_bytes = 0, kv_pool_bytes = 0;
};

class Mirror {
 public:
  /// Takes an event in. Throws Error for one that contradicts what came before or itself; nothing has changed then.
  void apply(const stream::Event& event);
  /// As if a new stream began, but the conversation and what the panels showed stay until the new one replaces them: a
  /// running turn is over, the next event is a Hello.
  void stream_restarted();

  // --- model and loading
  const LoadedModel* model() const { return model_ ? &*model_ : nullptr; }
  /// The model is open on this stream; after stream_restarted it is still shown, but gone.
  bool is_open() const { return is_open_; }
  bool is_loading() const { return is_loading_; }
  const std::string& load_stage() const { return load_stage_; }
  double load_fraction() const { return load_fraction_; }
  const std::string& load_error() const { return load_error_; }  // of the last load; empty where it went well
  const std::string& failure() const { return failure_; }        // the last Failure, for a banner

  // --- conversation
  /// Messages and tokens are those of a model or stream that is gone; the next turn's take their place.
  bool is_stale() const { return is_stale_ && !(messages_.empty() && tokens_.empty()); }
  const std::vector<MirrorMessage>& messages() const;  // an answer under way is the last one
  const std::optional<RunningTurn>& turn() const { return turn_; }
  const std::optional<TurnNumbers>& last_turn() const { return last_turn_; }
  uint64_t last_turn_id() const { return last_turn_id_; }
  const std::string& last_action() const { return last_action_; }  // of the last turn that began
  const std::string& last_action_reason() const { return last_action_reason_; }

  // --- tokens
  /// Of the conversation; the first n_cached() are in the cache. The last one of an answer under way was drawn, but did
  /// not go through the model yet: its class is `plain` until then.
  std::span<const MirrorToken> tokens() const { return tokens_; }
  std::string_view token_text() const { return token_text_; }
  std::string_view text_of(int32_t position) const;
  /// Position of the token that holds a byte of a message's content, or -1.
  int32_t token_at(const MirrorMessage& message, size_t content_byte) const;
  /// Bytes of the message's content that a token covers, cut to the content: empty where it covers none.
  std::pair<size_t, size_t> content_bytes_of(const MirrorMessage& message, int32_t position) const;

  // --- cache
  int32_t n_cached() const { return n_cached_; }
  const CacheConfig& config() const { return config_; }          // under which the cache was built
  const std::string& cache_note() const { return cache_note_; }  // a sentence about it, for people; may be empty
  bool has_profile() const { return has_profile_; }
  std::span<const MirrorHead> heads() const;  // layer-major; empty before a model is open
  bool holds(int32_t head, int32_t position) const;
  int32_t n_heads_holding(int32_t position) const;          // of all KV heads
  std::vector<int32_t> kept_positions(int32_t head) const;  // ascending
  /// Bit p % 8 of byte p / 8: the head holds position p.  (ceil(n_cached() / 8))
  std::vector<uint8_t> kept_bits(int32_t head) const { return kept_.bits(head); }
  std::vector<int32_t> heads_holding(int32_t position) const;  // ascending
  const MirrorSample& now() const { return now_; }
  int64_t kv_peak_bytes() const { return kv_peak_bytes_; }
  int64_t turn_log_bytes() const { return turn_log_bytes_; }
  int64_t resident_bytes() const { return resident_bytes_; }
  std::span<const MirrorSample> history() const { return history_; }  // since the model was opened

  // --- stream
  double time_ms() const { return time_ms_; }      // of the last event; never goes back on one stream
  uint64_t n_events() const { return n_events_; }  // taken in since the last Hello
  uint64_t version() const { return version_; }    // grows with every change, for caches of what is drawn
  bool is_closed() const { return is_closed_; }    // a TraceEnd came
  /// What a copy of this takes, about.
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
  size_t message_bytes_ = 0;  // of all of them: text, ids, and what each costs beside
  // Where messages stand among the tokens is looked up when somebody asks: of those from here on, and of those that
  // were not found or reach up to a position: an answer that was cut there may go on again.
  mutable size_t first_unlocated_ = no_message;
  mutable int32_t first_changed_ = no_position;
  std::optional<RunningTurn> turn_;
  bool has_answer_ = false;  // the running turn's is the last message
  std::optional<TurnNumbers> last_turn_;
  uint64_t last_turn_id_ = 0;
  std::string last_action_, last_action_reason_;
  std::vector<MirrorToken> tokens_;
  std::string token_text_;
  int32_t n_cached_ = 0;
  CacheConfig config_;
  std::string cache_note_;
  bool has_profile_ = false;
  KeptSets kept_;               // its number of heads is the model's
  std::vector<int32_t> pages_;  // (heads) of the last Snapshot; empty: none
  // (heads), or empty until somebody asks; kept tokens and pages are right only where is_counted_.
  mutable std::vector<MirrorHead> heads_;
  mutable bool is_counted_ = false;
  MirrorSample now_;
  int64_t kv_peak_bytes_ = 0, turn_log_bytes_ = 0, resident_bytes_ = 0;
  std::vector<MirrorSample> history_;
  double time_ms_ = 0;
  uint64_t n_events_ = 0, version_ = 0;
  bool is_open_ = false;   // a model, on this stream; model_ may still be that of the one before
  bool is_stale_ = false;  // messages and tokens are of a model or stream that is gone: shown, but not gone on from
  bool is_closed_ = false;
};

}  // namespace headroom
