// The whole data path of a turn, in order. See session.h.
#include "engine/run/session.h"

#include <algorithm>
#include <cassert>
#include <new>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/platform/platform.h"
#include "engine/run/calibration_table.h"
#include "engine/run/decode.h"
#include "engine/run/forward.h"
#include "engine/run/kv_store.h"
#include "engine/run/not_numbers.h"
#include "engine/run/prefill.h"
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

/// Runs a part of a turn; where memory runs out, that ends the turn with a sentence and not the session.
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

void check_cache_config(const CacheConfig& config) {
  const auto check_share = [](double share, const char* name) {
    if (!(share >= 0 && share <= 1))
      throw Error(std::string(name) + " is " + std::to_string(share) + "; expected a share from 0 to 1");
  };
  check_share(config.r_local, "r_local");
  check_share(config.r_frequent, "r_frequent");
  if (!(config.threshold >= 0 && config.threshold <= 2))
    throw Error("the threshold is " + std::to_string(config.threshold) +
                "; expected 0 to 1, or more for `full` everywhere");
  if (config.policy_set.empty()) throw Error("the policy set is empty; at least one policy was expected");
  check_share(config.keep, "keep");
  if (config.budget != BudgetKind::fixed) {
    if (config.policy_set.size() != 1 || !config.policy_set.front().has(Policy::frequent))
      throw Error("the budgets are " + std::string(budget_kind_name(config.budget)) +
                  "; expected a set of one policy with `frequent`");
    if (config.keep <= 0) throw Error("keep is 0; expected a share of the tokens above 0");
  }
  if (config.kv_budget_bytes < 0 || (config.kv_budget_bytes > 0 && config.budget != BudgetKind::shared))
    throw Error("a KV budget in bytes was given with " + std::string(budget_kind_name(config.budget)) +
                " budgets; expected `shared` ones, as those of the configurations headroom and uniform");
}

/// The configuration as this model runs it, checked.
ResolvedConfig resolve(const CacheConfig& config, const Model& model) {
  check_cache_config(config);
  const auto n_heads = static_cast<size_t>(model.config().n_layers) * static_cast<size_t>(model.config().n_kv_heads);
  if (!config.head_importance.empty() && config.head_importance.size() != n_heads)
    throw Error("the configuration has the importance of " + std::to_string(config.head_importance.size()) +
                " heads; the model has " + std::to_string(n_heads));
  return resolve_config(config, model);
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

struct Session::Impl {
  const Model& model;
  Backend& backend;
  CacheConfig cache_config;
  std::string cache_note;
  int32_t n_ctx;
  Forward forward;
  KvStore store;
  Activations row;  // of one token
  std::unique_ptr<DeviceBuffer> stream_buffer;
  Matrix stream;                   // (1, n_embd)
  std::vector<TokenId> ids;        // what the cache holds
  std::vector<float> logits;       // that follow ids
  std::vector<TokenId> generated;  // the last turn's prompt and its answer, whatever the cache holds
  size_t n_read = 0;               // of ids, those up to the end of the last prefill
  bool config_changed = false;
  // The last turn's prompt, without the head of the answer and with it; 0 where the cache does not hold it any more.
  size_t n_before_answer = 0, n_prompt = 0;
  LogitsJudge judge;
  PrefillMeasurements measured;  // by prefill_for_all, while the cache begins with that prefill

  Impl(const Model& model_, Backend& backend_, const SessionOptions& options, ResolvedConfig resolved)
      : model(model_),
        backend(backend_),
        cache_config(std::move(resolved.config)),
        cache_note(std::move(resolved.note)),
        n_ctx(options.n_ctx > 0
                  ? options.n_ctx
                  : context_that_fits(model_.config(), available_memory_bytes(), options.cache.cache_type)),
        forward(model_, backend_),
        store(model_.config(), backend_, cache_config, options.undo_log),
        row(backend_, model_.config(), 1),
        stream_buffer(backend_.allocate(static_cast<size_t>(model_.config().n_embd) * sizeof(float))),
        stream{stream_buffer.get(), 0, 1, model_.config().n_embd, model_.config().n_embd},
        judge(model_, backend_) {}

  void clear() {
    store.clear();
    measured = {};
    ids.clear();
    logits.clear();
    n_prompt = 0;
    store.set_config(cache_config);
    config_changed = false;
  }

  /// The cache as it stood at the mark, or empty where it was then, or where memory ran out on the way.
  void undo(size_t mark) {
    if (!store.undo(mark) || store.n_tokens() == 0) return clear();
    ids.resize(static_cast<size_t>(store.n_tokens()));
    if (ids.size() < n_prompt) n_prompt = 0;
    const std::span<const float> followed = store.log().logits(mark);
    logits.assign(followed.begin(), followed.end());
  }

  /// The same for the mark where the running turn began. Without it the cache, half changed, is of no use.
  void undo_running_turn() {
    const size_t mark = store.log().newest(MarkKind::turn);
    if (mark == store.log().n_marks())
      clear();
    else
      undo(mark);
  }

  /// A configuration that only holds fewer tokens of the same order needs no reading.
  bool take_as_a_cut() {
    if (!store.trim(cache_config)) return false;
    config_changed = false;
    return true;
  }

  struct Plan {
    CacheAction action = CacheAction::first_turn;
    std::string reason;
  };

  /// Brings the cache to a prefix of the wanted ids: continued, taken back to a mark, or emptied.
  Plan make_room_for(std::span<const TokenId> wanted) {
    if (config_changed && !take_as_a_cut()) {
      clear();
      return {CacheAction::re_encoded, "the configuration of the cache has changed"};
    }
    if (ids.empty()) return {CacheAction::first_turn, "the cache was empty"};
    const size_t n_common =
        static_cast<size_t>(std::mismatch(ids.begin(), ids.end(), wanted.begin(), wanted.end()).first - ids.begin());
    if (n_common == ids.size() && wanted.size() > ids.size())
      return {CacheAction::appended, "the conversation goes on"};
    const UndoLog& log = store.log();
    // The newest mark within what both have. Where nothing is left to read behind it, it has to know what followed.
    for (size_t mark = log.n_marks(); mark-- > 0 && log.n_tokens(mark) > 0;) {
      const auto n_tokens = static_cast<size_t>(log.n_tokens(mark));
      if (n_tokens > n_common || (n_tokens == wanted.size() && log.logits(mark).empty())) continue;
      std::string reason = reason_to_go_back(mark, wanted.size(), n_common);
      undo(mark);
      if (!ids.empty()) return {CacheAction::undone, std::move(reason)};
      break;
    }
    clear();
    return {CacheAction::re_encoded,
            "the conversation differs from what the cache holds from token " + std::to_string(n_common) + " on"};
  }

  std::string reason_to_go_back(size_t mark, size_t n_wanted, size_t n_common) const {
    const UndoLog& log = store.log();
    const size_t last_turn = log.newest(MarkKind::turn);
    const auto n_tokens = static_cast<size_t>(log.n_tokens(mark));
    const bool is_of_last_turn = last_turn == log.n_marks() || mark >= last_turn;
    if (n_tokens == n_wanted)
      return is_of_last_turn ? "another answer to the same message" : "another answer to an earlier message";
    if (mark == last_turn) return "the last message has changed";
    const std::string from =
        "token " + std::to_string(n_common) + " on; the cache went back to token " + std::to_string(n_tokens) + ", ";
    if (is_of_last_turn)
      return "the last answer is written differently from " + from +
             (log.kind(mark) == MarkKind::answer ? "where that answer began" : "the end of the message before it");
    return "the conversation differs from " + from + "a mark of an earlier turn";
  }

  /// Prefills what the cache does not hold yet; the head of the answer, which is what stands behind n_before_head
  /// tokens, on its own behind a mark. On a throw the cache is as before.
  PrefillTimes prefill_turn(std::span<const TokenId> wanted, size_t n_before_head, TurnObserver& observer) {
    store.begin_turn();
    measured = {};
    return prefill_after_mark(wanted, n_before_head, observer);
  }

  /// record: where to keep the measurements of the prefill, or null
  PrefillTimes prefill_after_mark(std::span<const TokenId> wanted, size_t n_before_head, TurnObserver& observer,
                                  PrefillMeasurements* record = nullptr) {
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

  /// The same for a turn. False where it was cancelled or memory ran out; the result says so, and whatever happens the
  /// observer hears what the cache holds now.
  bool read_prompt(std::span<const TokenId> wanted, size_t n_before_head, TurnObserver& observer, TurnResult& result) {
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

  /// A step that fails half-way leaves layers that differ from one another: the cache is emptied then, and the next
  /// turn builds it anew.
  void feed(TokenId id, TurnObserver& observer) {
    ids.push_back(id);
    std::vector<Eviction> evictions;
    try {
      evictions = decode(model, forward, store, row, stream, id, logits);
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

  TurnResult re_encode(TurnObserver& observer);
  TurnResult run(const std::vector<TokenId>& wanted, size_t n_before_head, const TurnOptions& options,
                 TurnObserver& observer);
  void generate(const TurnOptions& options, TurnObserver& observer, TurnResult& result);
};

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
  store.forget_marks();  // of what is left only its own beginning could be gone back to
  result.first_token_top = top_logits(logits, 10);
  return result;
}

void Session::Impl::generate(const TurnOptions& options, TurnObserver& observer, TurnResult& result) {
  const Tokenizer& tokenizer = model.tokenizer();
  Sampler sampler(options.sampler);
  StreamDecoder decoder(tokenizer);
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

namespace {

ResolvedConfig checked(const Model& model, const SessionOptions& options) {
  ResolvedConfig resolved = resolve(options.cache, model);
  if (options.n_ctx < 0 || options.n_ctx > model.config().n_ctx_train)
    throw Error("a context of " + std::to_string(options.n_ctx) + " tokens was asked for; the model's is " +
                std::to_string(model.config().n_ctx_train));
  check_page_layout({model.config().head_dim, options.cache.cache_type});
  return resolved;
}

}  // namespace

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
  impl_.reset();  // its memory is given back before the other backend asks for as much
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

bool Session::undo_turn() {
  const UndoLog& log = impl_->store.log();
  size_t mark = log.newest(MarkKind::turn);
  if (mark == log.n_marks()) return false;
  if (impl_->store.is_at_newest_mark() && mark + 1 == log.n_marks()) {  // the last turn is taken back already
    do {
      if (mark == 0) return false;
      --mark;
    } while (log.kind(mark) != MarkKind::turn);
  }
  impl_->undo(mark);
  return true;
}

void Session::set_cache_config(const CacheConfig& config) {
  ResolvedConfig resolved = resolve(config, impl_->model);
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

std::span<const float> Session::feed(TokenId id) {
  TurnObserver nobody;
  impl_->feed(id, nobody);
  impl_->generated.push_back(id);
  return impl_->logits;
}

std::span<const float> Session::prefill(std::span<const TokenId> ids, TurnObserver& observer) {
  std::vector<TokenId> wanted = impl_->ids;
  wanted.insert(wanted.end(), ids.begin(), ids.end());
  try {
    if (!impl_->measured.layers.empty())
      impl_->prefill_after_mark(wanted, wanted.size(), observer);  // the mark of prefill_for_all stays
    else
      impl_->prefill_turn(wanted, wanted.size(), observer);
  } catch (const Cancelled&) {
    throw Error("the prefill was stopped before its end");
  }
  return impl_->logits;
}

void Session::mark() {
  impl_->store.begin_answer(impl_->logits);
}

bool Session::return_to_mark() {
  const size_t mark = impl_->store.log().newest(MarkKind::answer);
  if (mark < impl_->store.log().n_marks())
    impl_->undo(mark);
  else
    impl_->clear();  // the log was given up for memory
  return !impl_->ids.empty();
}

std::span<const float> Session::prefill_for_all(std::span<const TokenId> ids, CacheType type, TurnObserver& observer) {
  CacheConfig whole = *find_cache_config("full");
  whole.cache_type = type;
  impl_->clear();
  set_cache_config(whole);
  impl_->store.begin_turn();
  try {
    PrefillMeasurements measured;
    impl_->prefill_after_mark(ids, ids.size(), observer, &measured);
    impl_->measured = std::move(measured);
  } catch (const Cancelled&) {
    throw Error("the prefill was stopped before its end");
  }
  mark();
  return impl_->logits;
}

bool Session::can_choose_under(const CacheConfig& config) {
  return is_covered_by_all_measures(config);
}

bool Session::choose_under(const CacheConfig& config) {
  ResolvedConfig resolved = resolve(config, impl_->model);
  assert(resolved.config.cache_type == impl_->store.config().cache_type);
  if (resolved.config.budget == BudgetKind::shared) impl_->store.check_budget_bytes(resolved.config);
  if (impl_->measured.layers.empty() || !return_to_mark()) return false;
  impl_->cache_config = std::move(resolved.config);
  impl_->cache_note = std::move(resolved.note);
  impl_->store.choose_under(impl_->cache_config, impl_->measured);
  return true;
}

std::span<const float> Session::logits() const {
  return impl_->logits;
}

std::vector<int32_t> Session::budgets_under(const CacheConfig& config) const {
  return impl_->store.budgets_under(config);
}

void Session::cut_heads(std::span<const int32_t> tokens) {
  for (size_t head = 0; head < tokens.size(); ++head)
    if (tokens[head] >= 0) impl_->store.cut_head(static_cast<int32_t>(head), tokens[head]);
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

CacheState Session::cache_state() const {
  const KvStore& store = impl_->store;
  const HeadCaches& caches = store.caches();
  const std::vector<Policy>& set = store.config().policy_set;
  CacheState state;
  state.n_tokens = store.n_tokens();
  state.config = store.config();
  state.has_profile = store.n_tokens() > 0 && has_profiles(store.config());
  state.policy_counts.assign(set.size() + 1, 0);
  for (int32_t index = 0; index < caches.n_heads(); ++index) {
    const HeadCache& cache = caches.head(index);
    HeadState head{.layer = index / caches.n_kv_heads(),
                   .kv_head = index % caches.n_kv_heads(),
                   .recovery = {},
                   .profile = cache.profile,
                   .policy = cache.policy,
                   .budget = cache.budget,
                   .kept_tokens = cache.length(),
                   .pages = static_cast<int32_t>(cache.pages.size()),
                   .bytes = static_cast<int64_t>(cache.pages.size() * caches.pool().layout().page_bytes())};
    for (const Policy policy : set) head.recovery.push_back(cache.profile.recovery(policy));
    ++state.policy_counts[static_cast<size_t>(std::find(set.begin(), set.end(), cache.policy) - set.begin())];
    state.heads.push_back(std::move(head));
  }
  if (state.policy_counts.back() == 0) state.policy_counts.pop_back();
  state.kv_live_bytes = caches.pool().live_bytes();
  state.kv_full_bytes = full_kv_bytes(impl_->model.config(), store.n_tokens());
  state.kv_pool_bytes = caches.pool().pool_bytes();
  state.kv_peak_bytes = store.peak_bytes();
  state.turn_log_bytes = store.turn_log_bytes();
  state.least_budget_bytes = store.least_budget_bytes(store.config().cache_type);
  return state;
}

std::vector<uint8_t> Session::kept_bits() const {
  const HeadCaches& caches = impl_->store.caches();
  const size_t row_bytes = (static_cast<size_t>(impl_->store.n_tokens()) + 7) / 8;
  std::vector<uint8_t> bits(static_cast<size_t>(caches.n_heads()) * row_bytes);
  for (int32_t head = 0; head < caches.n_heads(); ++head)
    for (const SlotTag tag : caches.head(head).tags) {
      const auto position = static_cast<size_t>(tag_position(tag));
      bits[static_cast<size_t>(head) * row_bytes + position / 8] |= static_cast<uint8_t>(1 << position % 8);
    }
  return bits;
}

std::vector<int32_t> Session::kept_positions(int32_t layer, int32_t kv_head) const {
  std::vector<int32_t> positions;
  for (const SlotTag tag : impl_->store.caches().head(impl_->store.head_index(layer, kv_head)).tags)
    positions.push_back(tag_position(tag));
  std::sort(positions.begin(), positions.end());
  return positions;
}

std::vector<Session::HeadDump> Session::dump() const {
  std::vector<HeadDump> heads;
  for (int32_t index = 0; index < impl_->store.caches().n_heads(); ++index) {
    const HeadCache& cache = impl_->store.caches().head(index);
    std::vector<int32_t> slots;
    for (int32_t slot = 0; slot < cache.length(); ++slot) slots.push_back(slot);
    heads.push_back({cache.policy, cache.tags, impl_->store.scores(index), impl_->store.rows(index, slots)});
  }
  return heads;
}

}  // namespace headroom
