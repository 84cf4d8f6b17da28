// A Session's turns ─► Events, for the engine process and for recordings. Used between the session and the code that
// sends or writes events; knows no file, no descriptor and no thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/run/model.h"
#include "engine/run/prompt.h"
#include "engine/run/session.h"
#include "engine/telemetry/stream.h"

namespace headroom {

/// Sends the body of an event; the callee adds sequence number and time.
using SendEvent = std::function<void(stream::EventBodyUnion)>;

template <typename Body>
stream::EventBodyUnion as_event(Body body) {
  stream::EventBodyUnion event;
  event.Set(std::move(body));
  return event;
}

// Events that the engine process and recordings share.
stream::EventBodyUnion hello_event(const std::string& version);
stream::EventBodyUnion refused_turn_event(uint64_t turn_id, const std::string& sentence);
/// The engine's current counters; resident_bytes is that of this process.
stream::SnapshotT make_snapshot(const CacheState& state);

class SessionEvents final : private TurnObserver {
 public:
  /// model and session must outlive this object.
  SessionEvents(const Model& model, Session& session, SendEvent send);

  /// Sends Loaded, which must be the first event: the model, and an empty cache.
  void tell_loaded(const std::vector<std::pair<std::string, std::string>>& skipped_backends);

  // Each function runs one turn and sends its events; the last one is TurnFinished, whatever happens. `next` also
  // observes the turn and says when to stop. Exceptions of the session are rethrown after that TurnFinished.
  TurnResult run_turn(uint64_t turn_id, const std::vector<ChatMessage>& messages, const TurnOptions& options,
                      TurnObserver& next);
  /// Runs a raw prompt, whose text counts as one user message.
  TurnResult run_raw(uint64_t turn_id, const std::string& text, std::vector<TokenId> ids, const TurnOptions& options,
                     TurnObserver& next);
  /// Rebuilds the cache from its tokens. For an empty cache only a CacheRebuilt is sent.
  TurnResult re_encode(uint64_t turn_id, TurnObserver& next);
  bool undo_turn();
  /// Forgets the conversation.
  void clear();

 private:
  void on_turn_start(const TurnStart& start) override;
  void on_prefill(const PrefillProgress& progress) override;
  void on_cache_rebuilt() override { tell_cache(false); }
  void on_step(const TokenStep& step) override;
  void on_token(TokenId id, std::string_view text) override;
  void on_text(std::string_view text) override { next_->on_text(text); }
  bool stop_requested() override { return next_->stop_requested(); }

  TurnResult turn(uint64_t turn_id, std::vector<ChatMessage> messages, TurnObserver& next,
                  const std::function<TurnResult()>& run);
  void finish(const TurnResult& result);
  void finish_with_error(const std::string& sentence);
  void tell_tokens(std::span<const TokenId> ids);
  void tell_cache(bool forgets);
  std::string take_bytes(TokenId id);
  void forget_tokens(size_t n_left);

  const Model& model_;
  Session& session_;
  SendEvent send_;

  // What was sent and is still valid on the stream.
  std::vector<ChatMessage> told_messages_;
  std::vector<TokenId> told_ids_;      // sent in Tokens and Step; a sampled token is sent again with its Step
  std::vector<bool> space_prefix_at_;  // (told_ids_ + 1) the tokenizer's state before each token, to decode its bytes

  // State of the running turn.
  TurnObserver* next_ = nullptr;
  uint64_t turn_id_ = 0;
  std::vector<ChatMessage> messages_;
  bool is_started_ = false;
  bool keeps_messages_ = false;  // the conversation does not change
  ChatMessage answer_;
  std::chrono::steady_clock::time_point begin_;
  double first_token_ms_ = 0;
};

}  // namespace headroom
