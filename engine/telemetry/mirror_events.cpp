// Builds the events that describe a Mirror's state. See mirror_events.h.
#include "engine/telemetry/mirror_events.h"

#include <algorithm>
#include <cassert>

namespace headroom {
namespace {

stream::LoadedT loaded(const Mirror& mirror) {
  const LoadedModel& model = *mirror.model();
  stream::LoadedT event;
  event.model_path = model.path;
  event.model_name = model.name;
  event.architecture = model.architecture;
  event.file_bytes = model.file_bytes;
  event.backend = model.backend;
  event.device = model.device;
  for (const auto& [name, reason] : model.skipped) {
    event.skipped.push_back(std::make_unique<stream::SkippedT>());
    event.skipped.back()->name = name;
    event.skipped.back()->reason = reason;
  }
  event.n_layers = model.n_layers;
  event.n_heads = model.n_heads;
  event.n_kv_heads = model.n_kv_heads;
  event.head_dim = model.head_dim;
  event.n_vocab = model.n_vocab;
  event.n_ctx = model.n_ctx;
  event.n_ctx_train = model.n_ctx_train;
  event.windows = model.windows;
  event.page_tokens = model.page_tokens;
  event.page_bytes = model.page_bytes;
  event.has_template = model.has_template;
  event.template_note = model.template_note;
  event.template_name = model.template_name;
  event.config = std::make_unique<stream::CacheConfigT>(to_stream(mirror.config()));
  event.cache_note = mirror.cache_note();
  return event;
}

/// The tokens from a position on, as many as fit easily into one message.
stream::TokensT tokens(const Mirror& mirror, size_t first) {
  constexpr size_t max_tokens_a_message = size_t{1} << 20, max_text_a_message = size_t{32} << 20;
  stream::TokensT event;
  event.first_position = static_cast<int32_t>(first);
  const uint32_t text_begin = mirror.tokens()[first].text_begin;
  uint32_t text_end = text_begin;
  for (const MirrorToken& token : mirror.tokens().subspan(first)) {
    if (event.ids.size() == max_tokens_a_message || token.text_end - text_begin > max_text_a_message) break;
    event.ids.push_back(token.id);
    event.classes.push_back(static_cast<uint8_t>(token.token_class));
    event.ends.push_back(token.text_end - text_begin);
    text_end = token.text_end;
  }
  const std::string_view text = mirror.token_text().substr(text_begin, text_end - text_begin);
  event.text.assign(text.begin(), text.end());
  return event;
}

stream::CacheRebuiltT cache(const Mirror& mirror) {
  stream::CacheRebuiltT event;
  event.snapshot = std::make_unique<stream::SnapshotT>();
  stream::SnapshotT& snapshot = *event.snapshot;
  snapshot.n_tokens = mirror.n_cached();
  snapshot.kv_live_bytes = mirror.now().kv_live_bytes;
  snapshot.kv_full_bytes = mirror.now().kv_full_bytes;
  snapshot.kv_pool_bytes = mirror.now().kv_pool_bytes;
  snapshot.kv_peak_bytes = mirror.kv_peak_bytes();
  snapshot.turn_log_bytes = mirror.turn_log_bytes();
  snapshot.resident_bytes = mirror.resident_bytes();
  event.config = std::make_unique<stream::CacheConfigT>(to_stream(mirror.config()));
  event.note = mirror.cache_note();
  event.page_bytes = mirror.model()->page_bytes;
  int64_t n_pages = 0;
  for (const MirrorHead& head : mirror.heads()) n_pages += head.pages;
  // The last Snapshot can be older than the last Step, so its kv_live_bytes can be too small for the pages.
  snapshot.kv_live_bytes = std::max(snapshot.kv_live_bytes, n_pages * mirror.model()->page_bytes);
  const bool has_budgets = std::any_of(mirror.heads().begin(), mirror.heads().end(),
                                       [](const MirrorHead& head) { return head.budget.tokens >= 0; });
  for (size_t head = 0; head < mirror.heads().size(); ++head) {
    const MirrorHead& state = mirror.heads()[head];
    event.policies.push_back(state.policy.parts);
    if (mirror.has_profile())
      event.recoveries.insert(event.recoveries.end(), state.profile.recoveries.begin(), state.profile.recoveries.end());
    if (has_budgets) {
      event.budget_tokens.push_back(state.budget.tokens);
      event.budget_of_tokens.push_back(state.budget.of_tokens);
      event.budget_grows.push_back(state.budget.grows);
    }
    snapshot.lengths.push_back(state.kept_tokens);
    snapshot.pages.push_back(state.pages);
    const std::vector<uint8_t> kept = mirror.kept_bits(static_cast<int32_t>(head));
    event.kept.insert(event.kept.end(), kept.begin(), kept.end());
  }
  return event;
}

stream::TurnStartedT turn_started(const Mirror& mirror, size_t n_messages) {
  stream::TurnStartedT event;
  event.action = mirror.last_action();
  event.reason = mirror.last_action_reason();
  for (size_t i = 0; i < n_messages; ++i) {
    const MirrorMessage& message = mirror.messages()[i];
    event.messages.push_back(std::make_unique<stream::MessageT>());
    event.messages.back()->role = message.role;
    event.messages.back()->content = message.content;
    event.messages.back()->ids = message.ids;
  }
  if (mirror.turn()) {
    event.turn_id = mirror.turn()->turn_id;
    event.n_prompt_tokens = mirror.turn()->n_prompt_tokens;
    event.n_cached_tokens = mirror.turn()->n_cached_tokens;
  } else {
    event.turn_id = mirror.last_turn_id();
    event.n_prompt_tokens = event.n_cached_tokens = static_cast<int32_t>(mirror.tokens().size());
  }
  return event;
}

}  // namespace

std::vector<stream::EventT> describe(const Mirror& mirror) {
  assert(mirror.is_open());
  std::vector<stream::EventT> events;
  const auto add = [&](auto&& body) {
    stream::EventT& event = events.emplace_back();
    event.sequence = events.size() - 1;
    event.time_ms = mirror.time_ms();
    event.body.Set(std::forward<decltype(body)>(body));
  };
  stream::HelloT hello;
  hello.protocol = stream_protocol;
  add(std::move(hello));
  add(loaded(mirror));
  // A stale conversation belongs to a former model or stream, so it is left out.
  const bool has_conversation =
      !mirror.is_stale() && (mirror.turn() || !mirror.messages().empty() || !mirror.tokens().empty());
  if (!has_conversation) {
    add(cache(mirror));
    return events;
  }

  // A running answer follows as Token events. Without a running turn, the conversation is described as a turn that only
  // prefilled it.
  const bool writes_answer = mirror.turn() && mirror.turn()->n_generated > 0;
  add(turn_started(mirror, mirror.messages().size() - (writes_answer ? 1 : 0)));
  for (size_t first = 0; first < mirror.tokens().size();) {
    stream::TokensT told = tokens(mirror, first);
    first += told.ids.size();
    add(std::move(told));
  }
  add(cache(mirror));
  if (writes_answer) {
    const MirrorMessage& answer = mirror.messages().back();
    uint32_t text_begin = 0;
    for (size_t i = 0; i < answer.ids.size(); ++i) {
      const uint32_t text_end = mirror.turn()->text_ends[i];
      stream::TokenT token;
      token.turn_id = mirror.turn()->turn_id;
      token.id = answer.ids[i];
      token.text = answer.content.substr(text_begin, text_end - text_begin);
      text_begin = text_end;
      add(std::move(token));
    }
  } else if (!mirror.turn()) {
    stream::TurnFinishedT finished;
    finished.turn_id = mirror.last_turn_id();
    finished.stop_reason = "max_tokens";
    finished.n_prompt_tokens = static_cast<int32_t>(mirror.tokens().size());
    add(std::move(finished));
  }
  return events;
}

}  // namespace headroom
