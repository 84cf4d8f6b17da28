// The whole data path of a turn, in order. See session.h.
#include "engine/run/session.h"

#include <algorithm>
#include <new>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/platform/platform.h"
#include "engine/run/decode.h"
#include "engine/run/session_impl.h"
#include "engine/run/stop_text.h"

namespace headroom {
namespace {

double per_second(size_t count, double ms) {
  return ms > 0 ? 1000.0 * static_cast<double>(count) / ms : 0;
}

std::vector<TopLogit> top_logits(std::span<const float> logits, size_t count) {
  std::vector<TopLogit> all;
  for (size_t i = 0; i < logits.size(); ++i) all.push_back({static_cast<TokenId>(i), logits[i]});
  count = std::min(count, all.size());
  std::partial_sort(
      all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count), all.end(),
      [](const TopLogit& a, const TopLogit& b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; });
  all.resize(count);
  return all;
}

/// Runs a part of a turn. If memory runs out, the turn ends with a message; the session goes on.
template <typename Part>
void end_turn_without_memory(TurnResult& result, Part part) {
  try {
    part();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::out_of_memory) throw;
    result.stop_reason = StopReason::out_of_memory;
    result.stop_message = error.what();
  } catch (const std::bad_alloc&) {
    result.stop_reason = StopReason::out_of_memory;
    result.stop_message = "the system has no memory left for this turn";
  }
}

ResolvedConfig checked(const Model& model, const SessionOptions& options) {
  ResolvedConfig resolved = checked_config(options.cache, model);
  if (options.n_ctx < 0 || options.n_ctx > model.config().n_ctx_train)
    throw Error("a context of " + std::to_string(options.n_ctx) + " tokens was asked for; the model's is " +
                std::to_string(model.config().n_ctx_train));
  check_page_layout({model.config().head_dim, options.cache.cache_type});
  return resolved;
}

}  // namespace

std::string_view stop_reason_name(StopReason reason) {
  switch (reason) {
    case StopReason::end_of_turn:
      return "end_of_turn";
    case StopReason::max_tokens:
      return "max_tokens";
    case StopReason::stop_string:
      return "stop_string";
    case StopReason::cancelled:
      return "cancelled";
    case StopReason::context_full:
      return "context_full";
    case StopReason::out_of_memory:
      return "out_of_memory";
  }
  return "";
}

std::string_view cache_action_name(CacheAction action) {
  switch (action) {
    case CacheAction::first_turn:
      return "first_turn";
    case CacheAction::appended:
      return "appended";
    case CacheAction::undone:
      return "undone";
    case CacheAction::re_encoded:
      return "re_encoded";
    case CacheAction::trimmed:
      return "trimmed";
  }
  return "";
}

int32_t context_that_fits(const ModelConfig& config, int64_t available_bytes, CacheType type) {
  // A token in full, with metadata and part-filled pages, and its row of the residual stream; a tenth stays free.
  const int64_t kv = static_cast<int64_t>(config.n_layers) * config.n_kv_heads *
                     static_cast<int64_t>(PageLayout{config.head_dim, type}.slot_bytes());
  const int64_t bytes = kv + static_cast<int64_t>(config.n_embd) * 4 + 2 * config.kv_dim() * 2;
  const int64_t fits = std::max<int64_t>(available_bytes / 10 * 9 / bytes, 256);
  return static_cast<int32_t>(std::min<int64_t>(fits, config.n_ctx_train));
}

Session::Impl::Impl(const Model& model_, Backend& backend_, const SessionOptions& options, ResolvedConfig resolved)
    : model(model_),
      backend(backend_),
      cache_config(std::move(resolved.config)),
      cache_note(std::move(resolved.note)),
      n_ctx(options.n_ctx > 0 ? options.n_ctx
                              : context_that_fits(model_.config(), available_memory_bytes(), options.cache.cache_type)),
      forward(model_, backend_),
      store(model_.config(), backend_, cache_config, options.undo_log),
      decode_step(model_, forward),
      judge(model_, backend_) {}

PrefillTimes Session::Impl::prefill_turn(std::span<const TokenId> wanted, size_t n_before_head,
                                         TurnObserver& observer) {
  store.begin_turn();
  measured = {};
  return prefill_after_mark(wanted, n_before_head, observer);
}

PrefillTimes Session::Impl::prefill_after_mark(std::span<const TokenId> wanted, size_t n_before_head,
                                               TurnObserver& observer, PrefillMeasurements* record) {
  const size_t n_cached = ids.size();
  PrefillTimes times;
  const auto read_to = [&](size_t n, PrefillRows rows) {
    const PrefillTimes part = headroom::prefill(model, forward, store, wanted.subspan(ids.size(), n - ids.size()),
                                                {.rows = rows,
                                                 .n_before = static_cast<int32_t>(ids.size() - n_cached),
                                                 .n_after = static_cast<int32_t>(wanted.size() - n),
                                                 .record = record},
                                                observer, logits);
    ids.assign(wanted.begin(), wanted.begin() + static_cast<std::ptrdiff_t>(n));
    times.total_ms += part.total_ms;
    times.profile_ms += part.profile_ms;
  };
  try {
    if (n_cached < n_before_head && n_before_head < wanted.size()) {
      read_to(n_before_head, PrefillRows::message);
      store.begin_generation();
    }
    const bool is_head_of_answer = !ids.empty() && ids.size() >= n_before_head;
    read_to(wanted.size(), is_head_of_answer ? PrefillRows::generation_prompt : PrefillRows::message);
    judge.check(logits, ids, ids.size(), cache_config, observer);
    n_read = ids.size();
    n_before_answer = n_before_head;
    n_prompt = wanted.size();
    return times;
  } catch (...) {
    undo_running_turn();
    throw;
  }
}

bool Session::Impl::read_prompt(std::span<const TokenId> wanted, size_t n_before_head, TurnObserver& observer,
                                TurnResult& result) {
  bool is_read = false;
  result.n_prefilled_tokens = static_cast<int32_t>(wanted.size() - ids.size());
  try {
    end_turn_without_memory(result, [&] {
      const PrefillTimes times = prefill_turn(wanted, n_before_head, observer);
      result.prefill_ms = times.total_ms;
      result.profile_ms = times.profile_ms;
      is_read = true;
    });
  } catch (const Cancelled&) {
    result.stop_reason = StopReason::cancelled;
  } catch (...) {
    observer.on_cache_rebuilt();
    throw;
  }
  observer.on_cache_rebuilt();
  if (is_read)
    result.prompt_tokens_per_s = per_second(static_cast<size_t>(result.n_prefilled_tokens), result.prefill_ms);
  return is_read;
}

void Session::Impl::feed(TokenId id, TurnObserver& observer) {
  ids.push_back(id);
  std::vector<Eviction> evictions;
  try {
    evictions = decode_step.run(store, id, logits);
    judge.check(logits, ids, n_read, cache_config, observer);
  } catch (...) {
    ids.pop_back();
    if (store.is_step_open() || static_cast<size_t>(store.n_tokens()) != ids.size()) {
      clear();
      observer.on_cache_rebuilt();
    }
    throw;
  }
  observer.on_step({static_cast<int32_t>(ids.size()) - 1, id, evictions});
}

TurnResult Session::Impl::run(const std::vector<TokenId>& wanted, size_t n_before_head, const TurnOptions& options,
                              TurnObserver& observer) {
  if (wanted.empty()) throw Error("the prompt is empty; at least one token was expected");
  if (wanted.size() > static_cast<size_t>(n_ctx))
    throw Error("the prompt has " + std::to_string(wanted.size()) + " tokens; the context holds " +
                std::to_string(n_ctx));
  const Sampler check_options(options.sampler);  // refuses bad options before anything is computed

  TurnResult result;
  result.n_prompt_tokens = static_cast<int32_t>(wanted.size());
  Plan plan = make_room_for(wanted);
  result.action = plan.action;
  result.action_reason = std::move(plan.reason);
  observer.on_turn_start({result.action, result.action_reason, wanted, static_cast<int32_t>(ids.size())});
  if (result.action == CacheAction::undone || result.action == CacheAction::re_encoded) observer.on_cache_rebuilt();
  if (ids.size() < wanted.size()) {
    if (!read_prompt(wanted, n_before_head, observer, result)) return result;
    store.begin_answer(logits);
  }
  result.first_token_top = top_logits(logits, 10);
  generate(options, observer, result);
  return result;
}

TurnResult Session::Impl::re_encode(TurnObserver& observer) {
  const std::vector<TokenId> wanted = ids;
  TurnResult result;
  result.n_prompt_tokens = static_cast<int32_t>(wanted.size());
  if (config_changed && take_as_a_cut()) {
    result.action = CacheAction::trimmed;
    result.action_reason = "the heads hold less of the same order";
    result.stop_reason = StopReason::max_tokens;
    result.first_token_top = top_logits(logits, 10);
    observer.on_turn_start({result.action, result.action_reason, wanted, result.n_prompt_tokens});
    observer.on_cache_rebuilt();
    return result;
  }
  result.action = CacheAction::re_encoded;
  result.action_reason = config_changed ? "the configuration of the cache has changed" : "it was asked for";
  result.stop_reason = StopReason::max_tokens;
  const size_t n_before_head = n_prompt == wanted.size() ? n_before_answer : wanted.size();  // in that turn's pieces
  clear();
  observer.on_turn_start({result.action, result.action_reason, wanted, 0});
  observer.on_cache_rebuilt();
  if (wanted.empty() || !read_prompt(wanted, n_before_head, observer, result)) return result;
  store.forget_marks();  // the only remaining undo point would be the start of this same cache
  result.first_token_top = top_logits(logits, 10);
  return result;
}

void Session::Impl::generate(const TurnOptions& options, TurnObserver& observer, TurnResult& result) {
  const Tokenizer& tokenizer = model.tokenizer();
  Sampler sampler(options.sampler);
  TextDecoder decoder(tokenizer);
  StopText text(options.stop_strings);
  const auto emit = [&](const std::string& piece) {
    if (piece.empty()) return;
    result.text += piece;
    observer.on_text(piece);
  };
  std::vector<TokenId> recent = ids;
  const auto start = Clock::now();
  size_t n_fed = 0;
  result.stop_reason = StopReason::max_tokens;
  end_turn_without_memory(result, [&] {
    while (options.max_tokens < 0 || result.ids.size() < static_cast<size_t>(options.max_tokens)) {
      if (observer.stop_requested()) {
        result.stop_reason = StopReason::cancelled;
        break;
      }
      if (!result.ids.empty()) {
        if (ids.size() >= static_cast<size_t>(n_ctx)) {
          result.stop_reason = StopReason::context_full;
          result.stop_message = "the context of " + std::to_string(n_ctx) +
                                " tokens is full; drop the oldest turns and re-encode, or start a new chat";
          break;
        }
        feed(result.ids.back(), observer);
        ++n_fed;
      }
      const TokenId id = sampler.sample(logits, recent);
      if (tokenizer.is_end_of_turn(id) && !options.ignore_end_of_turn) {
        result.stop_reason = StopReason::end_of_turn;
        break;
      }
      recent.push_back(id);
      result.ids.push_back(id);
      const std::string piece = text.push(decoder.push(id));
      observer.on_token(id, piece);
      emit(piece);
      if (text.stopped()) {
        result.stop_reason = StopReason::stop_string;
        break;
      }
    }
  });
  if (!text.stopped()) emit(text.push(decoder.finish()));
  if (!text.stopped()) emit(text.finish());
  result.generate_ms = ms_since(start);
  result.generate_tokens_per_s = per_second(n_fed, result.generate_ms);
}

void Session::check(const Model& model, const SessionOptions& options) {
  checked(model, options);
}

Session::Session(const Model& model, Backend& backend, const SessionOptions& options) {
  impl_ = std::make_unique<Impl>(model, backend, options, checked(model, options));
  if (options.cache.budget == BudgetKind::shared) impl_->store.check_budget_bytes(impl_->cache_config);
}
Session::~Session() = default;

void Session::change_backend(Backend& backend) {
  const Model& model = impl_->model;
  SessionOptions options{.cache = impl_->cache_config, .n_ctx = impl_->n_ctx, .undo_log = impl_->store.log().limits()};
  ResolvedConfig same{impl_->cache_config, impl_->cache_note};
  std::vector<TokenId> generated = std::move(impl_->generated);
  impl_.reset();  // frees its memory before the other backend asks for as much
  impl_ = std::make_unique<Impl>(model, backend, options, std::move(same));
  impl_->generated = std::move(generated);
}

const BackendInfo& Session::backend_info() const {
  return impl_->backend.info();
}

TurnResult Session::run_turn(const std::vector<ChatMessage>& messages, const TurnOptions& options,
                             TurnObserver& observer) {
  EncodedChat chat;
  try {
    chat = encode_chat(
        impl_->model, messages, [&] { return observer.stop_requested(); }, impl_->generated);
  } catch (const Cancelled&) {
    TurnResult nothing;
    nothing.stop_reason = StopReason::cancelled;
    return nothing;
  }
  TurnResult result = impl_->run(chat.ids, static_cast<size_t>(chat.n_before_answer), options, observer);
  impl_->generated = std::move(chat.ids);
  impl_->generated.insert(impl_->generated.end(), result.ids.begin(), result.ids.end());
  if (!chat.note.empty()) result.stop_message += (result.stop_message.empty() ? "" : "; ") + chat.note;
  return result;
}

TurnResult Session::run_ids(std::vector<TokenId> ids, const TurnOptions& options, TurnObserver& observer) {
  return impl_->run(ids, ids.size(), options, observer);
}

TurnResult Session::re_encode(TurnObserver& observer) {
  return impl_->re_encode(observer);
}

void Session::set_cache_config(const CacheConfig& config) {
  ResolvedConfig resolved = checked_config(config, impl_->model);
  check_page_layout({impl_->model.config().head_dim, config.cache_type});
  if (config.budget == BudgetKind::shared) impl_->store.check_budget_bytes(resolved.config);
  impl_->cache_config = std::move(resolved.config);
  impl_->cache_note = std::move(resolved.note);
  impl_->config_changed = !impl_->ids.empty();
  if (impl_->ids.empty()) impl_->store.set_config(impl_->cache_config);
}

void Session::clear() {
  impl_->clear();
}

const std::vector<TokenId>& Session::ids() const {
  return impl_->ids;
}
int32_t Session::n_ctx() const {
  return impl_->n_ctx;
}
const CacheConfig& Session::cache_config() const {
  return impl_->cache_config;
}

int64_t Session::page_bytes() const {
  return static_cast<int64_t>(impl_->store.layout().page_bytes());
}

const std::string& Session::cache_note() const {
  return impl_->cache_note;
}

}  // namespace headroom
