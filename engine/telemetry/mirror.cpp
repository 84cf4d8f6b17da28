// Events ─► the Mirror's state, one function per kind of event. Each function first checks the whole event, by itself
// and against the state, and only then changes the state. mirror_cache.cpp applies the events of tokens and cache;
// mirror_text.cpp locates messages among the tokens.
#include "engine/telemetry/mirror.h"

#include <algorithm>
#include <limits>

#include "engine/telemetry/event_check.h"

namespace headroom {

using namespace event_check;

namespace {

LoadedModel read_model(const stream::Loaded& loaded) {
  check_range(loaded.n_layers(), 1, max_heads, "n_layers");
  check_range(loaded.n_kv_heads(), 1, max_heads, "n_kv_heads");
  check_range(int64_t{loaded.n_layers()} * loaded.n_kv_heads(), 1, max_heads, "the number of KV heads of all layers");
  check_range(loaded.n_heads(), loaded.n_kv_heads(), 1 << 20, "n_heads");
  if (loaded.n_heads() % loaded.n_kv_heads() != 0)
    throw Error("n_heads is " + number(loaded.n_heads()) + "; expected a multiple of the " +
                number(loaded.n_kv_heads()) + " KV heads");
  check_range(loaded.head_dim(), 1, 1 << 20, "head_dim");
  check_range(loaded.n_vocab(), 1, 1 << 30, "n_vocab");
  check_range(loaded.n_ctx(), 1, max_tokens, "n_ctx");
  check_range(loaded.n_ctx_train(), 1, 1 << 30, "n_ctx_train");
  check_range(loaded.page_tokens(), 1, 1 << 20, "page_tokens");
  check_page_bytes(loaded.page_bytes(), int64_t{loaded.n_layers()} * loaded.n_kv_heads(), loaded.n_ctx(),
                   loaded.page_tokens());
  check_range(loaded.file_bytes(), 0, max_bytes, "file_bytes");
  const auto windows = span_of(loaded.windows());
  check_size(windows.size(), static_cast<size_t>(loaded.n_layers()), "windows");
  for (const int32_t window : windows) check_range(window, 0, 1 << 30, "a sliding window");

  LoadedModel model;
  model.path = shown_path(loaded.model_path());
  model.name = shown_name(loaded.model_name());
  model.architecture = shown_name(loaded.architecture());
  model.backend = shown_name(loaded.backend());
  model.device = shown_name(loaded.device());
  model.template_note = shown_sentence(loaded.template_note());
  model.template_name = shown_path(loaded.template_name());
  if (loaded.skipped() != nullptr) {
    check_range(loaded.skipped()->size(), 0, StreamLimits::max_skipped, "the number of skipped backends");
    for (const stream::Skipped* skipped : *loaded.skipped())
      model.skipped.emplace_back(shown_name(skipped->name()), shown_sentence(skipped->reason()));
  }
  model.file_bytes = loaded.file_bytes();
  model.n_layers = loaded.n_layers();
  model.n_heads = loaded.n_heads();
  model.n_kv_heads = loaded.n_kv_heads();
  model.head_dim = loaded.head_dim();
  model.n_vocab = loaded.n_vocab();
  model.n_ctx = loaded.n_ctx();
  model.n_ctx_train = loaded.n_ctx_train();
  model.windows.assign(windows.begin(), windows.end());
  model.page_tokens = loaded.page_tokens();
  model.page_bytes = loaded.page_bytes();
  model.has_template = loaded.has_template();
  return model;
}

constexpr std::string_view answer_role = "assistant";

size_t bytes_of(const MirrorMessage& message) {
  return StreamLimits::message_bytes(message.role.size(), message.content.size(), message.ids.size());
}

void check_n_messages(size_t n_messages) {
  check_range(static_cast<int64_t>(n_messages), 0, StreamLimits::max_messages, "the number of messages");
}

/// Checks the size of all messages together.
void check_conversation(size_t n_bytes) {
  if (n_bytes > StreamLimits::max_conversation_bytes)
    throw Error("the conversation's messages have " + std::to_string(n_bytes) + " bytes; expected at most " +
                std::to_string(StreamLimits::max_conversation_bytes));
}

TurnNumbers read_numbers(const stream::TurnFinished& finished) {
  TurnNumbers numbers;
  numbers.stop_reason = shown_name(finished.stop_reason());
  numbers.message = shown_sentence(finished.message());
  numbers.n_prompt_tokens = finished.n_prompt_tokens();
  numbers.n_prefilled_tokens = finished.n_prefilled_tokens();
  numbers.n_answer_tokens = static_cast<int32_t>(span_of(finished.ids()).size());
  check_range(numbers.n_prompt_tokens, 0, max_tokens, "n_prompt_tokens");
  check_range(numbers.n_prefilled_tokens, 0, numbers.n_prompt_tokens, "n_prefilled_tokens");
  const auto take = [](double& to, double value, const char* name) {
    check_number(value, any, name);
    to = value;
  };
  take(numbers.prefill_ms, finished.prefill_ms(), "prefill_ms");
  take(numbers.profile_ms, finished.profile_ms(), "profile_ms");
  take(numbers.generate_ms, finished.generate_ms(), "generate_ms");
  take(numbers.first_token_ms, finished.first_token_ms(), "first_token_ms");
  take(numbers.prompt_tokens_per_s, finished.prompt_tokens_per_s(), "prompt_tokens_per_s");
  take(numbers.generate_tokens_per_s, finished.generate_tokens_per_s(), "generate_tokens_per_s");
  return numbers;
}

}  // namespace

void Mirror::apply(const stream::Event& event) {
  try {
    if (is_closed_) throw Error("the trace has ended; no event was expected");
    if (event.sequence() != n_events_) {
      throw Error(event.sequence() > n_events_
                      ? "event " + std::to_string(n_events_) + " is missing"
                      : "this event was received already; expected event " + std::to_string(n_events_));
    }
    check_number(event.time_ms(), any, "time_ms");
    if ((n_events_ == 0) != (event.body_type() == stream::EventBody::Hello))
      throw Error(n_events_ == 0 ? "a stream begins with Hello" : "a stream has only one Hello");
    take(event);
  } catch (const Error& error) {
    throw Error(error.kind(), "event " + std::to_string(event.sequence()) + " (" +
                                  stream::EnumNameEventBody(event.body_type()) + "): " + error.what());
  }
  time_ms_ = std::max(time_ms_, event.time_ms());
  ++n_events_;
  ++version_;
}

void Mirror::take(const stream::Event& event) {
  const double time_ms = std::max(time_ms_, event.time_ms());
  switch (event.body_type()) {
    case stream::EventBody::Hello:
      return take(*event.body_as_Hello());
    case stream::EventBody::LoadProgress:
      return take(*event.body_as_LoadProgress());
    case stream::EventBody::Loaded:
      return take(*event.body_as_Loaded());
    case stream::EventBody::LoadFailed:
      return take(*event.body_as_LoadFailed());
    case stream::EventBody::TurnStarted:
      return take(*event.body_as_TurnStarted(), time_ms);
    case stream::EventBody::Tokens:
      return take(*event.body_as_Tokens());
    case stream::EventBody::PrefillProgress:
      return take(*event.body_as_PrefillProgress());
    case stream::EventBody::Snapshot: {
      std::vector<int32_t> n_kept;
      for (int32_t head = 0; head < kept_.n_heads(); ++head) n_kept.push_back(kept_.n_kept(head));
      check_range(event.body_as_Snapshot()->n_tokens(), n_cached_, n_cached_, "n_tokens");
      check(*event.body_as_Snapshot(), n_kept, model_ ? model_->page_bytes : 0);
      return change(*event.body_as_Snapshot(), time_ms);
    }
    case stream::EventBody::CacheRebuilt:
      return take(*event.body_as_CacheRebuilt(), time_ms);
    case stream::EventBody::Step:
      return take(*event.body_as_Step());
    case stream::EventBody::Token:
      return take(*event.body_as_Token(), time_ms);
    case stream::EventBody::TurnFinished:
      return take(*event.body_as_TurnFinished());
    case stream::EventBody::Failure:
      failure_ = shown_sentence(event.body_as_Failure()->message());
      return;
    case stream::EventBody::TraceEnd:
      return take(*event.body_as_TraceEnd());
    case stream::EventBody::Counted:
      check_range(event.body_as_Counted()->n_tokens(), -1, std::numeric_limits<int32_t>::max(), "n_tokens");
      return;  // only the sender of the Count uses the number
    case stream::EventBody::NONE:
      break;
  }
  throw Error("an unknown kind of event");
}

void Mirror::stream_restarted() {
  turn_.reset();
  has_answer_ = false;
  is_loading_ = false;
  is_open_ = false;
  is_stale_ = true;
  is_closed_ = false;
  time_ms_ = 0;
  n_events_ = 0;
  ++version_;
}

// ------------------------------------------------------------------------------------------------ model and loading

void Mirror::take(const stream::Hello& hello) {
  if (hello.protocol() != stream_protocol)
    throw Error("the engine uses protocol " + std::to_string(hello.protocol()) + " (version " +
                shown_name(hello.version()) + "); this program supports " + std::to_string(stream_protocol));
}

void Mirror::take(const stream::LoadProgress& progress) {
  check_number(progress.fraction(), 1, "the fraction");
  is_loading_ = true;
  load_stage_ = shown_sentence(progress.stage());
  load_fraction_ = progress.fraction();
  load_error_.clear();
}

void Mirror::take(const stream::Loaded& loaded) {
  if (turn_) throw Error("a model was opened while a turn runs");
  LoadedModel model = read_model(loaded);
  CacheConfig config = from_stream(there(loaded.config(), "the configuration"));
  check_importance(config, static_cast<size_t>(model.n_kv_heads_total()));
  is_loading_ = false;
  load_error_.clear();
  is_open_ = true;
  is_stale_ = true;
  n_cached_ = 0;
  heads_.clear();
  pages_.clear();
  kept_.reset(model.n_kv_heads_total());
  has_profile_ = false;
  now_ = {};
  last_turn_.reset();  // its speeds are those of the former model
  kv_peak_bytes_ = turn_log_bytes_ = resident_bytes_ = 0;
  history_.clear();
  model_ = std::move(model);
  config_ = std::move(config);
  cache_note_ = shown_sentence(loaded.cache_note());
}

void Mirror::take(const stream::LoadFailed& failed) {
  if (turn_ && !failed.keeps_model()) throw Error("a model was closed while a turn runs");
  if (failed.keeps_model() && !is_open_)
    throw Error("the event says that the former model is still open, but no model was open");
  is_loading_ = false;
  load_error_ = shown_sentence(failed.message());
  if (load_error_.empty()) load_error_ = "the model could not be opened";
  if (failed.keeps_model()) return;
  is_open_ = false;
  is_stale_ = true;
  n_cached_ = 0;
  heads_.clear();
  pages_.clear();
  kept_.reset(0);
  has_profile_ = false;
  now_ = {};
  cache_note_.clear();
  model_.reset();
}

void Mirror::check_open(const char* what) const {
  if (!is_open_) throw Error(std::string(what) + " without an open model");
}

// ----------------------------------------------------------------------------------------------------- conversation

void Mirror::check_running(uint64_t turn_id) const {
  if (!turn_) throw Error("it belongs to turn " + std::to_string(turn_id) + ", but no turn is running");
  if (turn_->turn_id != turn_id)
    throw Error("it belongs to turn " + std::to_string(turn_id) + ", but turn " + std::to_string(turn_->turn_id) +
                " is running");
}

void Mirror::check_id(TokenId id) const {
  check_range(id, 0, model_->n_vocab - 1, "the token id");
}

void Mirror::take(const stream::TurnStarted& started, double time_ms) {
  check_open("a turn");
  if (turn_) throw Error("turn " + std::to_string(turn_->turn_id) + " has not finished");
  check_range(started.n_messages_kept(), 0, n_known_messages(), "n_messages_kept");
  check_range(started.n_prompt_tokens(), 0, max_tokens, "n_prompt_tokens");
  check_range(started.n_cached_tokens(), 0, started.n_prompt_tokens(), "n_cached_tokens");
  const auto n_kept = static_cast<size_t>(started.n_messages_kept());
  std::vector<MirrorMessage> added;
  size_t n_bytes = 0;
  if (n_kept > 0) {
    n_bytes = message_bytes_;
    for (size_t i = n_kept; i < messages_.size(); ++i) n_bytes -= bytes_of(messages_[i]);
  }
  if (started.messages() != nullptr) {
    check_n_messages(n_kept + started.messages()->size());
    for (const stream::Message* message : *started.messages()) {
      MirrorMessage& last = added.emplace_back();
      last.role = shown_name(message->role());
      const auto ids = span_of(message->ids());
      check_conversation(n_bytes + StreamLimits::message_bytes(
                                       0, message->content() == nullptr ? 0 : message->content()->size(), ids.size()));
      last.content = shown_text(message->content());
      for (const TokenId id : ids) check_id(id);
      last.ids.assign(ids.begin(), ids.end());
      n_bytes += bytes_of(last);
      check_conversation(n_bytes);
    }
  }

  forget_if_stale();
  messages_.resize(n_kept);
  std::move(added.begin(), added.end(), std::back_inserter(messages_));
  message_bytes_ = n_bytes;
  cut_tokens(started.n_prompt_tokens());
  messages_changed(n_kept);
  turn_ = RunningTurn{.turn_id = started.turn_id(),
                      .action = shown_name(started.action()),
                      .reason = shown_sentence(started.reason()),
                      .n_prompt_tokens = started.n_prompt_tokens(),
                      .n_cached_tokens = started.n_cached_tokens(),
                      .is_generating = started.n_cached_tokens() == started.n_prompt_tokens(),
                      .started_ms = time_ms};
  if (turn_->is_generating) turn_->generating_since_ms = time_ms;
  has_answer_ = false;
  last_action_ = turn_->action;
  last_action_reason_ = turn_->reason;
}

void Mirror::take(const stream::PrefillProgress& progress) {
  check_running(progress.turn_id());
  check_range(progress.n_layers(), 0, max_heads, "n_layers");
  check_range(progress.layer(), 0, progress.n_layers(), "layer");
  check_range(progress.n_tokens(), 0, max_tokens, "n_tokens");
  check_number(progress.fraction(), 1, "the fraction");
  turn_->prefill_fraction = progress.fraction();
  turn_->prefill_layer = progress.layer();
  turn_->n_prefill_layers = progress.n_layers();
  turn_->n_prefill_tokens = progress.n_tokens();
}

/// Adds the message that the running turn's tokens are appended to, if there is none yet.
void Mirror::begin_answer() {
  if (has_answer_) return;
  has_answer_ = true;
  MirrorMessage& answer = messages_.emplace_back();
  answer.role = answer_role;
  answer.drawn_at = turn_->n_prompt_tokens;
  message_bytes_ += bytes_of(answer);
}

void Mirror::take(const stream::Token& token, double time_ms) {
  check_running(token.turn_id());
  check_id(token.id());
  const int32_t position = turn_->n_prompt_tokens + turn_->n_generated;
  check_range(position, 0, std::min(n_known_tokens(), max_tokens - 1), "the position");
  const bool is_known = position < n_known_tokens();
  if (is_known && tokens_[static_cast<size_t>(position)].id != token.id())
    throw Error("token " + number(token.id()) + " was sampled for position " + number(position) +
                ", where the conversation has " + number(tokens_[static_cast<size_t>(position)].id));
  if (token.text() != nullptr) check_token_text(token.text()->size());
  const std::string text = shown_text(token.text());
  check_token_text(text.size());
  if (!is_known) check_text(token_text_.size() + text.size());
  if (!has_answer_) check_n_messages(messages_.size() + 1);
  const size_t n_bytes =
      has_answer_ ? message_bytes_ : message_bytes_ + StreamLimits::message_bytes(answer_role.size(), 0, 0);
  check_conversation(n_bytes + text.size() + sizeof(TokenId));

  begin_answer();
  if (!is_known) add_token(token.id(), TokenClass::plain, text);
  MirrorMessage& answer = messages_.back();
  answer.content += text;
  answer.ids.push_back(token.id());
  message_bytes_ += text.size() + sizeof(TokenId);
  turn_->text_ends.push_back(static_cast<uint32_t>(answer.content.size()));
  if (answer.token_begin < 0) {
    answer.token_begin = position;
    answer.text_begin = tokens_[static_cast<size_t>(position)].text_begin;
  }
  answer.token_end = position + 1;
  if (!turn_->is_generating) turn_->generating_since_ms = time_ms;
  turn_->is_generating = true;
  ++turn_->n_generated;
}

void Mirror::take(const stream::TurnFinished& finished) {
  TurnNumbers numbers = read_numbers(finished);
  const auto ids = span_of(finished.ids());
  const size_t other_bytes = has_answer_ ? message_bytes_ - messages_.back().content.size()
                                         : message_bytes_ + StreamLimits::message_bytes(answer_role.size(), 0, 0);
  if (finished.text() != nullptr && finished.text()->size() > 0)
    check_conversation(other_bytes + finished.text()->size());
  std::string text = shown_text(finished.text());
  if (!text.empty()) check_conversation(other_bytes + text.size());
  const bool is_running = turn_ && turn_->turn_id == finished.turn_id();
  if (!is_running) {
    // This turn was refused or stopped before it began; another turn may be running.
    const bool is_stopped = numbers.stop_reason == "cancelled";
    const bool may_end_so = is_stopped || numbers.stop_reason == "error";
    if (!ids.empty() || !text.empty() || !may_end_so) check_running(finished.turn_id());
    if (is_stopped) return;
    failure_ = numbers.message;
    return;
  }
  const bool broke_off = numbers.stop_reason == "error" && ids.empty() && text.empty();
  if (!broke_off) {
    const std::span<const TokenId> drawn = has_answer_ ? messages_.back().ids : std::span<const TokenId>();
    if (!std::equal(ids.begin(), ids.end(), drawn.begin(), drawn.end()))
      throw Error("the answer's " + std::to_string(ids.size()) + " token ids are not the " +
                  std::to_string(drawn.size()) + " that were sampled");
  } else if (has_answer_) {
    numbers.n_answer_tokens = static_cast<int32_t>(messages_.back().ids.size());
  }
  if (!text.empty() && !has_answer_) check_n_messages(messages_.size() + 1);
  numbers.kv_live_bytes = now_.kv_live_bytes;
  numbers.kv_full_bytes = now_.kv_full_bytes;
  if (!text.empty()) begin_answer();
  if (has_answer_) {
    if (!broke_off) {
      message_bytes_ += text.size() - messages_.back().content.size();
      messages_.back().content = std::move(text);
    }
    messages_.back().numbers = numbers;
  }
  last_turn_ = std::move(numbers);
  last_turn_id_ = finished.turn_id();
  turn_.reset();
  has_answer_ = false;
}

void Mirror::forget_conversation() {
  messages_.clear();
  message_bytes_ = 0;
  tokens_.clear();
  token_text_.clear();
  is_stale_ = false;
}

void Mirror::forget_if_stale() {
  if (is_stale_) forget_conversation();
}

void Mirror::take(const stream::TraceEnd& end) {
  if (end.n_events() != n_events_)
    throw Error("the trace has " + std::to_string(end.n_events()) + " events; " + std::to_string(n_events_) + " came");
  is_closed_ = true;
}

}  // namespace headroom
