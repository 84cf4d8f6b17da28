// Runs fidelity and perplexity jobs, and defines what all kinds share. Probes and profiling: runner_tasks.cpp.
#include "app/eval/runner.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "app/eval/runner_internal.h"
#include "app/format.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/run/divergence.h"
#include "engine/run/prompt.h"

namespace headroom::eval {
namespace {

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double per_second(size_t n, double seconds) {
  return seconds > 0 ? static_cast<double>(n) / seconds : 0;
}

/// At most this much of a long text is prefilled, so that most of the kept tokens were chosen with a full prompt.
constexpr size_t max_first_part_tokens = 1024;

}  // namespace

/// The full cache's answer to one prompt, with which the others are compared.
struct Runner::Teacher {
  size_t prompt = 0;
  std::vector<TokenId> prompt_ids;
  std::vector<TokenId> answer;  // (n)
  std::vector<float> logits;    // (n, n_vocab), row i: after answer[i] was fed
};

Runner::Runner(const Plan& plan, size_t model, Backend& backend, int32_t n_ctx, std::function<bool()> stop,
               std::function<void(double)> on_part, std::function<void(const std::string&)> on_note)
    : plan_(plan),
      model_(std::make_unique<Model>(plan.models[model].path, plan.chat_template)),
      stop_(std::move(stop)),
      on_part_(std::move(on_part)),
      on_note_(std::move(on_note)) {
  session_ =
      std::make_unique<CacheLab>(*model_, backend, SessionOptions{.cache = baseline_cell().config, .n_ctx = n_ctx});
}

Runner::~Runner() = default;

std::vector<Row> Runner::run(std::span<const Job> jobs) {
  const Job& first = jobs.front();
  running_ = first.cell.label();
  try {
    switch (first.kind) {
      case JobKind::fidelity:
        return std::vector<Row>(1, fidelity(first));
      case JobKind::perplexity:
        return std::vector<Row>(1, perplexity(first));
      case JobKind::probe:
        return probe(jobs);
      case JobKind::profiling:
        return std::vector<Row>(1, profiling(first));
    }
  } catch (const Error& error) {
    if (stop_()) throw Stopped();  // a prefill that is stopped ends with an Error
    throw Error(error.kind(), subject_name(plan_, first) + " under " + running_ + ": " + error.what());
  }
  return {};
}

void Runner::check_stop() const {
  if (stop_()) throw Stopped();
}

void Runner::check_room(size_t n_tokens) const {
  if (n_tokens > static_cast<size_t>(session_->n_ctx()))
    throw Error(format("%s tokens are needed, the context holds %s", count_text(static_cast<int64_t>(n_tokens)).c_str(),
                       count_text(session_->n_ctx()).c_str()));
}

std::span<const float> Runner::feed(TokenId id) {
  check_stop();
  return session_->feed(id);
}

std::span<const float> Runner::prefill(std::span<const TokenId> ids) {
  check_stop();
  PrefillObserver observer(stop_);
  return session_->prefill(ids, observer);
}

double Runner::kept_ratio(const CacheState& state) const {
  const ModelConfig& config = model_->config();
  int64_t n_reach = 0;
  for (const LayerConfig& layer : config.layers)
    n_reach += int64_t{reachable_tokens(state.n_tokens, layer.window)} * config.n_kv_heads;
  int64_t n_kept = 0;
  for (const HeadState& head : state.heads) n_kept += head.kept_tokens;
  return n_reach == 0 ? 0 : static_cast<double>(n_kept) / static_cast<double>(n_reach);
}

/// Brings the cache to its state after ids, under the cell's configuration. The ids are prefilled for this cell alone,
/// or once for all cells that can choose from the measurements of one prefill.
PromptStart Runner::start(const Cell& cell, const std::vector<TokenId>& ids) {
  running_ = cell.label();
  check_stop();
  if (!CacheLab::can_choose_under(cell.config)) {
    read_ids_.clear();
    session_->set_cache_config(cell.config);
    session_->clear();
    prefill(ids);
  } else {
    if (read_ids_ != ids || read_type_ != cell.config.cache_type) {
      read_ids_.clear();
      PrefillObserver observer(stop_);
      session_->prefill_for_all(ids, cell.config.cache_type, observer);
      read_ids_ = ids;
      read_type_ = cell.config.cache_type;
    }
    if (!session_->choose_under(cell.config))
      throw Error(ErrorKind::out_of_memory, "memory ran out between two configurations");
  }
  const CacheState state = session_->cache_state();
  return {.kept_ratio = kept_ratio(state),
          .kv_live_bytes = state.kv_live_bytes,
          .kv_full_bytes = state.kv_full_bytes,
          .threshold = state.config.threshold,
          .logits = session_->logits()};
}

std::vector<TokenId> Runner::prompt_ids(size_t prompt) const {
  const Text& text = plan_.prompts[prompt];
  if (plan_.raw) return raw_ids(text, plan_.special);
  std::vector<ChatMessage> messages;
  if (plan_.system) messages.push_back({.role = "system", .content = *plan_.system, .ids = {}});
  messages.push_back({.role = "user", .content = text.text, .ids = {}});
  EncodedChat chat = encode_chat(*model_, messages);
  if (!chat.note.empty()) on_note_(text.name + ": " + chat.note);
  return std::move(chat.ids);
}

std::vector<TokenId> Runner::raw_ids(const Text& text, bool allow_control) const {
  std::string note;
  std::vector<TokenId> ids = encode_raw(*model_, text.text, allow_control, &note);
  if (!note.empty()) on_note_(text.name + ": " + note);
  return ids;
}

const Runner::Teacher& Runner::teacher(size_t prompt) {
  if (teacher_ && teacher_->prompt == prompt) return *teacher_;
  teacher_ = nullptr;
  auto result = std::make_unique<Teacher>();
  result->prompt = prompt;
  result->prompt_ids = prompt_ids(prompt);
  check_room(result->prompt_ids.size() + static_cast<size_t>(plan_.n_scored));
  std::span<const float> logits = start(baseline_cell(), result->prompt_ids).logits;
  for (int32_t i = 0; i < plan_.n_scored; ++i) {
    result->answer.push_back(arg_max(logits));
    logits = feed(result->answer.back());
    result->logits.insert(result->logits.end(), logits.begin(), logits.end());
  }
  teacher_ = std::move(result);
  return *teacher_;
}

Row Runner::fidelity(const Job& job) {
  const Teacher& full = teacher(job.subject);
  const PromptStart begin = start(job.cell, full.prompt_ids);
  const size_t n_vocab = full.logits.size() / full.answer.size();
  Divergence divergence;
  double seconds = 0;
  for (size_t i = 0; i < full.answer.size(); ++i) {
    const Clock::time_point step = Clock::now();
    const std::span<const float> logits = feed(full.answer[i]);
    seconds += seconds_since(step);
    divergence.add(std::span(full.logits).subspan(i * n_vocab, n_vocab), logits);
    on_part_(static_cast<double>(i + 1) / static_cast<double>(full.answer.size()));
  }
  Row row = begin_row(plan_, job, begin);
  row["kv_live_bytes_end"] = session_->cache_state().kv_live_bytes;
  row["mean_kl"] = divergence.mean_kl();
  row["p95_kl"] = divergence.p95_kl();
  row["agreement"] = divergence.agreement();
  row["n_scored"] = divergence.n_steps();
  row["first_difference"] = divergence.first_difference();
  row["n_tokens"] = full.prompt_ids.size();
  row["generate_tokens_per_s"] = per_second(full.answer.size(), seconds);
  return row;
}

Row Runner::perplexity(const Job& job) {
  const std::vector<TokenId> ids = raw_ids(plan_.long_texts[job.subject], false);
  const size_t n_first = std::min(ids.size() / 2, max_first_part_tokens);
  if (ids.size() < 4) throw Error(format("the text has %zu tokens, expected at least 4 for a perplexity", ids.size()));
  const size_t n_fed = std::min(ids.size() - n_first - 1, static_cast<size_t>(plan_.n_perplexity));
  check_room(n_first + n_fed);
  const PromptStart begin = start(job.cell, {ids.begin(), ids.begin() + static_cast<int64_t>(n_first)});
  double sum = 0;
  double seconds = 0;
  for (size_t i = n_first; i < n_first + n_fed; ++i) {
    const Clock::time_point step = Clock::now();
    const std::span<const float> logits = feed(ids[i]);
    seconds += seconds_since(step);
    sum += log_sum_exp(logits) - logits[static_cast<size_t>(ids[i + 1])];
    on_part_(static_cast<double>(i + 1 - n_first) / static_cast<double>(n_fed));
  }
  Row row = begin_row(plan_, job, begin);
  row["kv_live_bytes_end"] = session_->cache_state().kv_live_bytes;
  row["perplexity"] = std::exp(sum / static_cast<double>(n_fed));
  row["n_scored"] = n_fed;
  row["n_tokens"] = n_first;
  row["generate_tokens_per_s"] = per_second(n_fed, seconds);
  return row;
}

}  // namespace headroom::eval
