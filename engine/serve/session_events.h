// A Session's turns ─► Events, the same for the engine process and for a recording. Stands between the session and
// whoever sends or writes events; knows no file, no descriptor and no thread.
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

/// Takes an event's body; sequence number and time are the sender's business.
using SendEvent = std::function<void(stream::EventBodyUnion)>;

template <typename Body>
stream::EventBodyUnion as_event(Body body) {
  stream::EventBodyUnion event;
  event.Set(std::move(body));
  return event;
}

/// The same bodies for everybody who speaks the stream.
stream::EventBodyUnion hello_event(const std::string& version);
stream::EventBodyUnion refused_turn_event(uint64_t turn_id, const std::string& sentence);
/// The engine's counters at this moment; resident bytes are this process's.
stream::SnapshotT make_snapshot(const CacheState& state);

class SessionEvents final : private TurnObserver {
 public:
  /// All of them must outlive this.
  SessionEvents(const Model& model, Session& session, SendEvent send);

  /// The first event: the model, and an empty cache.
  void tell_loaded(const std::vector<std::pair<std::string, std::string>>& skipped_backends);

  // Turns, each with its events up to TurnFinished, whatever happens. `next` observes too and says when to stop. They
  // throw what the session throws, after the TurnFinished that tells of it.
  TurnResult run_turn(uint64_t turn_id, const std::vector<ChatMessage>& messages, const TurnOptions& options,
                      TurnObserver& next);
  /// Of a raw prompt: its text counts as one user message.
  TurnResult run_raw(uint64_t turn_id, const std::string& text, std::vector<TokenId> ids, const TurnOptions& options,
                     TurnObserver& next);
  /// The cache is built anew from its tokens; an empty one is only told of again.
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

  // What the stream was told and still holds.
  std::vector<ChatMessage> told_messages_;
  std::vector<TokenId> told_ids_;      // by Tokens and Step; a token that was only drawn is told again
  std::vector<bool> space_prefix_at_;  // (told_ids + 1) of the tokenizer, for the bytes of the token at a position

  // Of the turn that runs.
  TurnObserver* next_ = nullptr;
  uint64_t turn_id_ = 0;
  std::vector<ChatMessage> messages_;
  bool is_started_ = false;
  bool keeps_messages_ = false;  // the conversation is not touched
  ChatMessage answer_;
  std::chrono::steady_clock::time_point begin_;
  double first_token_ms_ = 0;
};

}  // namespace headroom
