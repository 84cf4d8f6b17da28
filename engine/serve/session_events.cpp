// Turns ─► Events. Tracks what was sent, so that nothing is sent twice. See session_events.h.
#include "engine/serve/session_events.h"

#include <algorithm>
#include <new>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/page_layout.h"
#include "engine/base/platform/platform.h"
#include "engine/run/decode.h"

namespace headroom {
namespace {

std::vector<uint8_t> as_bytes(std::string_view text) {
  return {text.begin(), text.end()};
}

std::unique_ptr<stream::MessageT> to_stream(const ChatMessage& message) {
  auto out = std::make_unique<stream::MessageT>();
  out->role = message.role;
  out->content = message.content;
  out->ids = message.ids;
  return out;
}

bool is_same(const ChatMessage& a, const ChatMessage& b) {
  return a.role == b.role && a.content == b.content && a.ids == b.ids;
}

}  // namespace

stream::EventBodyUnion hello_event(const std::string& version) {
  stream::HelloT hello;
  hello.protocol = stream_protocol;
  hello.version = version;
  hello.counts = true;
  return as_event(std::move(hello));
}

stream::EventBodyUnion refused_turn_event(uint64_t turn_id, const std::string& sentence) {
  stream::TurnFinishedT finished;
  finished.turn_id = turn_id;
  finished.stop_reason = "error";
  finished.message = sentence;
  return as_event(std::move(finished));
}

stream::SnapshotT make_snapshot(const CacheState& state) {
  stream::SnapshotT snapshot;
  snapshot.n_tokens = state.n_tokens;
  snapshot.kv_live_bytes = state.kv_live_bytes;
  snapshot.kv_full_bytes = state.kv_full_bytes;
  snapshot.kv_pool_bytes = state.kv_pool_bytes;
  snapshot.kv_peak_bytes = state.kv_peak_bytes;
  snapshot.turn_log_bytes = state.turn_log_bytes;
  snapshot.resident_bytes = resident_bytes();
  for (const HeadState& head : state.heads) {
    snapshot.lengths.push_back(head.kept_tokens);
    snapshot.pages.push_back(head.pages);
  }
  return snapshot;
}

SessionEvents::SessionEvents(const Model& model, Session& session, SendEvent send)
    : model_(model), session_(session), send_(std::move(send)), space_prefix_at_{true} {}

void SessionEvents::tell_loaded(const std::vector<std::pair<std::string, std::string>>& skipped_backends) {
  const ModelConfig& config = model_.config();
  stream::LoadedT loaded;
  loaded.model_path = model_.path();
  loaded.model_name = config.name;
  loaded.architecture = config.traits().name;
  loaded.file_bytes = static_cast<int64_t>(model_.file().file_bytes());
  loaded.backend = session_.backend_info().name;
  loaded.device = session_.backend_info().device;
  for (const auto& [name, reason] : skipped_backends) {
    auto skipped = std::make_unique<stream::SkippedT>();
    skipped->name = name;
    skipped->reason = reason;
    loaded.skipped.push_back(std::move(skipped));
  }
  loaded.n_layers = config.n_layers;
  loaded.n_heads = config.n_heads;
  loaded.n_kv_heads = config.n_kv_heads;
  loaded.head_dim = config.head_dim;
  loaded.n_vocab = model_.tokenizer().size();
  loaded.n_ctx = session_.n_ctx();
  loaded.n_ctx_train = config.n_ctx_train;
  for (const LayerConfig& layer : config.layers) loaded.windows.push_back(layer.window);
  loaded.page_tokens = page_tokens;
  loaded.page_bytes = session_.page_bytes();
  loaded.has_template = model_.chat_template() != nullptr;
  loaded.template_note = model_.template_note();
  loaded.template_name = model_.template_name();
  loaded.config = std::make_unique<stream::CacheConfigT>(headroom::to_stream(session_.cache_config()));
  loaded.cache_note = session_.cache_note();
  send_(as_event(std::move(loaded)));
}

// ------------------------------------------------------------------------------------------------------------ turns

TurnResult SessionEvents::run_turn(uint64_t turn_id, const std::vector<ChatMessage>& messages,
                                   const TurnOptions& options, TurnObserver& next) {
  keeps_messages_ = false;
  return turn(turn_id, messages, next, [&] { return session_.run_turn(messages, options, *this); });
}

TurnResult SessionEvents::run_raw(uint64_t turn_id, const std::string& text, std::vector<TokenId> ids,
                                  const TurnOptions& options, TurnObserver& next) {
  keeps_messages_ = false;
  return turn(turn_id, {{.role = "user", .content = text, .ids = {}}}, next,
              [&] { return session_.run_ids(std::move(ids), options, *this); });
}

TurnResult SessionEvents::re_encode(uint64_t turn_id, TurnObserver& next) {
  if (session_.ids().empty()) {
    tell_cache(false);
    return {};
  }
  keeps_messages_ = true;
  return turn(turn_id, {}, next, [&] { return session_.re_encode(*this); });
}

TurnResult SessionEvents::turn(uint64_t turn_id, std::vector<ChatMessage> messages, TurnObserver& next,
                               const std::function<TurnResult()>& run) {
  // The observer belongs to the caller and may not exist after this turn, when other events are sent.
  struct Watching {
    TurnObserver*& observer;
    ~Watching() { observer = nullptr; }
  };
  next_ = &next;
  const Watching watching{next_};
  turn_id_ = turn_id;
  messages_ = std::move(messages);
  is_started_ = false;
  answer_ = {.role = "assistant", .content = {}, .ids = {}};
  begin_ = Clock::now();
  first_token_ms_ = 0;
  try {
    TurnResult result = run();
    finish(result);
    return result;
  } catch (const std::bad_alloc&) {
    finish_with_error("the system has no memory left for this turn");
    throw;
  } catch (const std::exception& error) {
    finish_with_error(error.what());
    throw;
  }
}

bool SessionEvents::undo_turn() {
  const bool is_undone = session_.undo_turn();
  if (is_undone) tell_cache(false);
  return is_undone;
}

void SessionEvents::clear() {
  session_.clear();
  tell_cache(true);
  told_messages_.clear();
  forget_tokens(0);
}

void SessionEvents::finish(const TurnResult& result) {
  stream::TurnFinishedT finished;
  finished.turn_id = turn_id_;
  finished.stop_reason = stop_reason_name(result.stop_reason);
  finished.message = result.stop_message;
  finished.text = result.text;
  finished.ids = result.ids;
  finished.n_prompt_tokens = result.n_prompt_tokens;
  finished.n_prefilled_tokens = result.n_prefilled_tokens;
  finished.prefill_ms = result.prefill_ms;
  finished.profile_ms = result.profile_ms;
  finished.generate_ms = result.generate_ms;
  finished.first_token_ms = first_token_ms_;
  finished.prompt_tokens_per_s = result.prompt_tokens_per_s;
  finished.generate_tokens_per_s = result.generate_tokens_per_s;
  for (const TopLogit& top : result.first_token_top) {
    auto out = std::make_unique<stream::TopLogitT>();
    out->id = top.id;
    out->logit = top.logit;
    out->text = as_bytes(model_.tokenizer().piece(top.id, true));
    finished.first_token_top.push_back(std::move(out));
  }
  answer_.content = result.text;
  if (!answer_.ids.empty() || !answer_.content.empty()) told_messages_.push_back(answer_);
  send_(as_event(std::move(finished)));
}

void SessionEvents::finish_with_error(const std::string& sentence) {
  if (is_started_ && !answer_.ids.empty()) told_messages_.push_back(answer_);
  send_(refused_turn_event(turn_id_, sentence));
}

// --------------------------------------------------------------------------------------------- what the session says

void SessionEvents::on_turn_start(const TurnStart& start) {
  is_started_ = true;
  stream::TurnStartedT started;
  started.turn_id = turn_id_;
  started.action = cache_action_name(start.action);
  started.reason = start.reason;
  started.n_prompt_tokens = static_cast<int32_t>(start.ids.size());
  started.n_cached_tokens = start.n_cached;
  size_t n_kept = told_messages_.size();
  if (!keeps_messages_) {
    n_kept = static_cast<size_t>(
        std::mismatch(told_messages_.begin(), told_messages_.end(), messages_.begin(), messages_.end(), is_same).first -
        told_messages_.begin());
    for (size_t i = n_kept; i < messages_.size(); ++i) started.messages.push_back(to_stream(messages_[i]));
    told_messages_ = std::move(messages_);
  }
  started.n_messages_kept = static_cast<int32_t>(n_kept);
  send_(as_event(std::move(started)));
  if (start.ids.size() < told_ids_.size()) forget_tokens(start.ids.size());
  tell_tokens(start.ids);
  next_->on_turn_start(start);
}

void SessionEvents::on_prefill(const PrefillProgress& progress) {
  stream::PrefillProgressT out;
  out.turn_id = turn_id_;
  out.layer = progress.layer;
  out.n_layers = progress.n_layers;
  out.n_tokens = progress.n_tokens;
  out.fraction = progress.fraction;
  send_(as_event(std::move(out)));
  next_->on_prefill(progress);
}

void SessionEvents::on_step(const TokenStep& step) {
  forget_tokens(static_cast<size_t>(step.position));
  stream::StepT out;
  out.position = step.position;
  out.id = step.id;
  out.token_class = static_cast<uint8_t>(class_at(model_.tokenizer(), step.id, step.position));
  out.text = as_bytes(take_bytes(step.id));
  for (const Eviction& eviction : step.evictions) {
    out.evicted_heads.push_back(static_cast<uint32_t>(eviction.head));
    out.evicted_positions.push_back(eviction.position);
  }
  send_(as_event(std::move(out)));
  send_(as_event(make_snapshot(session_.cache_state())));
  next_->on_step(step);
}

void SessionEvents::on_token(TokenId id, std::string_view text) {
  if (answer_.ids.empty()) first_token_ms_ = ms_since(begin_);
  answer_.ids.push_back(id);
  answer_.content += text;
  stream::TokenT token;
  token.turn_id = turn_id_;
  token.id = id;
  token.text = text;
  send_(as_event(std::move(token)));
  next_->on_token(id, text);
}

// --------------------------------------------------------------------------------------------------- tokens and cache

void SessionEvents::forget_tokens(size_t n_left) {
  if (n_left >= told_ids_.size()) return;
  told_ids_.resize(n_left);
  space_prefix_at_.resize(n_left + 1);
}

/// The bytes of the next token; it then counts as sent.
std::string SessionEvents::take_bytes(TokenId id) {
  std::string bytes;
  bool space_prefix = space_prefix_at_.back();
  model_.tokenizer().decode_next(id, true, &space_prefix, &bytes);
  told_ids_.push_back(id);
  space_prefix_at_.push_back(space_prefix);
  return bytes;
}

void SessionEvents::tell_tokens(std::span<const TokenId> ids) {
  const auto n_same = static_cast<size_t>(
      std::mismatch(told_ids_.begin(), told_ids_.end(), ids.begin(), ids.end()).first - told_ids_.begin());
  forget_tokens(n_same);
  if (n_same == ids.size()) return;
  stream::TokensT tokens;
  tokens.first_position = static_cast<int32_t>(n_same);
  tokens.ids.assign(ids.begin() + static_cast<std::ptrdiff_t>(n_same), ids.end());
  for (size_t position = n_same; position < ids.size(); ++position) {
    const std::string bytes = take_bytes(ids[position]);
    tokens.text.insert(tokens.text.end(), bytes.begin(), bytes.end());
    tokens.ends.push_back(static_cast<uint32_t>(tokens.text.size()));
    tokens.classes.push_back(
        static_cast<uint8_t>(class_at(model_.tokenizer(), ids[position], static_cast<int32_t>(position))));
  }
  send_(as_event(std::move(tokens)));
}

void SessionEvents::tell_cache(bool forgets) {
  const CacheState state = session_.cache_state();
  stream::CacheRebuiltT rebuilt;
  rebuilt.snapshot = std::make_unique<stream::SnapshotT>(make_snapshot(state));
  rebuilt.config = std::make_unique<stream::CacheConfigT>(headroom::to_stream(state.config));
  rebuilt.note = session_.cache_note();
  rebuilt.page_bytes = session_.page_bytes();
  const bool has_budgets = std::any_of(state.heads.begin(), state.heads.end(),
                                       [](const HeadState& head) { return head.budget.tokens >= 0; });
  for (const HeadState& head : state.heads) {
    rebuilt.policies.push_back(head.policy.parts);
    if (has_budgets) {
      rebuilt.budget_tokens.push_back(head.budget.tokens);
      rebuilt.budget_of_tokens.push_back(head.budget.of_tokens);
      rebuilt.budget_grows.push_back(head.budget.grows);
    }
    if (state.has_profile)
      rebuilt.recoveries.insert(rebuilt.recoveries.end(), head.profile.recoveries.begin(),
                                head.profile.recoveries.end());
  }
  rebuilt.kept = session_.kept_bits();
  rebuilt.forgets = forgets;
  send_(as_event(std::move(rebuilt)));
  if (next_ != nullptr && !forgets) next_->on_cache_rebuilt();
}

}  // namespace headroom
