// Runs probes and the profiling of prefills, and fills the first keys of every row.
#include <algorithm>
#include <array>
#include <random>

#include "app/eval/runner_internal.h"
#include "engine/base/error.h"
#include "engine/run/divergence.h"
#include "engine/run/prompt.h"

namespace headroom::eval {
namespace {

constexpr size_t n_profile_reps = 3;

/// A conversation's ids before its first answer, and those of the second message up to the second answer.
struct TwoTurns {
  std::vector<TokenId> first;
  std::vector<TokenId> first_answer;
  std::vector<TokenId> second;
};

TwoTurns encode_turns(const Model& model, const ProbeInstance& instance) {
  std::vector<ChatMessage> messages{{.role = "user", .content = instance.prompt, .ids = {}}};
  TwoTurns turns;
  turns.first = encode_chat(model, messages).ids;
  turns.first_answer = model.tokenizer().encode(instance.first_answer, false, false);
  messages.push_back({.role = "assistant", .content = instance.first_answer, .ids = turns.first_answer});
  messages.push_back({.role = "user", .content = instance.question, .ids = {}});
  const std::vector<TokenId> all = encode_chat(model, messages).ids;
  std::vector<TokenId> begin = turns.first;
  begin.insert(begin.end(), turns.first_answer.begin(), turns.first_answer.end());
  if (all.size() <= begin.size() || !std::equal(begin.begin(), begin.end(), all.begin()))
    throw Error(ErrorKind::unsupported, "the chat template of " + model.path() +
                                            " writes a first turn differently once there is a second, so that no "
                                            "second turn can be appended to its cache");
  turns.second.assign(all.begin() + static_cast<int64_t>(begin.size()), all.end());
  return turns;
}

double median(std::array<double, n_profile_reps> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

Row begin_row(const Plan& plan, const Job& job, const PromptStart& start) {
  const Cell& cell = job.cell;
  Row row;
  row["kind"] = job_kind_name(job.kind);
  row["job"] = job.index;
  row["model"] = plan.models[job.model].name;
  row[job.kind == JobKind::probe ? "probe" : "prompt"] = subject_name(plan, job);
  row["config"] = cell.config.name;
  row["setting"] = cell.setting;
  row["keep"] = cell.keep ? Json(*cell.keep) : Json(nullptr);
  row["cache_type"] = std::string(cache_type_name(cell.config.cache_type));
  row["threshold"] = start.threshold;
  row["kept_ratio"] = start.kept_ratio;
  row["kv_live_bytes"] = start.kv_live_bytes;
  row["kv_full_bytes"] = start.kv_full_bytes;
  return row;
}

bool Runner::solves(const Cell& cell, const ProbeInstance& instance, PromptStart* after_prompt) {
  const Tokenizer& tokenizer = model_->tokenizer();
  const std::vector<TokenId> answer = tokenizer.encode(instance.answer, false, false);
  std::span<const float> logits;
  if (instance.has_two_turns()) {
    const TwoTurns turns = encode_turns(*model_, instance);
    const std::vector<TokenId> answer_start = tokenizer.encode(instance.answer_start, false, false);
    check_room(turns.first.size() + turns.first_answer.size() + turns.second.size() + answer_start.size() +
               answer.size());
    *after_prompt = start(cell, turns.first);
    for (const TokenId id : turns.first_answer) feed(id);
    logits = prefill(turns.second);
    for (const TokenId id : answer_start) logits = feed(id);
  } else {
    std::vector<TokenId> ids = encode_raw(*model_, instance.prompt, false);
    check_room(ids.size() + answer.size());
    const TokenId last = ids.back();
    ids.pop_back();
    *after_prompt = start(cell, ids);
    logits = feed(last);
  }
  for (size_t i = 0; i < answer.size(); ++i) {
    if (arg_max(logits) != answer[i]) return false;
    if (i + 1 < answer.size()) logits = feed(answer[i]);
  }
  return true;
}

/// Runs instance by instance, so that all configurations share one prefill of its text.
std::vector<Row> Runner::probe(std::span<const Job> jobs) {
  std::vector<PromptStart> sums(jobs.size());
  std::vector<std::string> solved(jobs.size());
  for (int32_t index = 0; index < plan_.n_instances; ++index) {
    const ProbeInstance instance = make_probe(plan_.probes[jobs.front().subject], plan_.seed, index);
    for (size_t i = 0; i < jobs.size(); ++i) {
      PromptStart start;
      solved[i] += solves(jobs[i].cell, instance, &start) ? '1' : '0';
      sums[i].kept_ratio += start.kept_ratio;
      sums[i].kv_live_bytes += start.kv_live_bytes;
      sums[i].kv_full_bytes += start.kv_full_bytes;
      sums[i].threshold += start.threshold;
    }
    on_part_(static_cast<double>(index + 1) / plan_.n_instances);
  }
  std::vector<Row> rows;
  for (size_t i = 0; i < jobs.size(); ++i) {
    sums[i].kept_ratio /= plan_.n_instances;
    sums[i].threshold /= plan_.n_instances;
    sums[i].kv_live_bytes /= plan_.n_instances;
    sums[i].kv_full_bytes /= plan_.n_instances;
    Row& row = rows.emplace_back(begin_row(plan_, jobs[i], sums[i]));
    row["n_instances"] = plan_.n_instances;
    row["solved"] = solved[i];  // one character per instance; the report compares them in pairs
  }
  return rows;
}

/// The prompts one after another, repeated if they are too short. Without prompts, random plain tokens.
std::vector<TokenId> Runner::profiled_ids(int32_t n_tokens) const {
  std::vector<TokenId> source;
  for (const Text& prompt : plan_.prompts) {
    const std::vector<TokenId> ids = raw_ids(prompt, false);
    source.insert(source.end(), ids.begin(), ids.end());
  }
  const size_t n = static_cast<size_t>(n_tokens);
  if (source.empty()) {
    const Tokenizer& tokenizer = model_->tokenizer();
    std::vector<TokenId> plain;
    for (TokenId id = 0; id < std::min(tokenizer.size(), model_->config().n_vocab); ++id)
      if (tokenizer.token_class(id) == TokenClass::plain) plain.push_back(id);
    if (plain.empty()) throw Error("the vocabulary has no plain tokens to prefill with");
    std::mt19937_64 random(plan_.seed);
    for (size_t i = 0; i < n; ++i) source.push_back(plain[random() % plain.size()]);
  }
  std::vector<TokenId> ids;
  for (size_t i = 0; i < n; ++i) ids.push_back(source[i % source.size()]);
  return ids;
}

Row Runner::profiling(const Job& job) {
  const int32_t n_tokens = plan_.profile_lengths[job.subject];
  check_room(static_cast<size_t>(n_tokens) + 1);
  const std::vector<TokenId> ids = profiled_ids(n_tokens);
  const PromptStart begin = start(job.cell, ids);  // warms up, and measures what is kept
  read_ids_.clear();
  PrefillObserver observer(stop_);
  std::array<double, n_profile_reps> prefill_ms{}, profile_ms{}, shares{};
  for (size_t rep = 0; rep < n_profile_reps; ++rep) {
    check_stop();
    session_->clear();
    TurnOptions options;
    options.max_tokens = 0;
    const TurnResult result = session_->run_ids(ids, options, observer);
    check_stop();
    if (!result.stop_message.empty()) throw Error(ErrorKind::out_of_memory, result.stop_message);
    prefill_ms[rep] = result.prefill_ms;
    profile_ms[rep] = result.profile_ms;
    shares[rep] = result.prefill_ms > 0 ? result.profile_ms / result.prefill_ms : 0;
    on_part_(static_cast<double>(rep + 1) / n_profile_reps);
  }
  Row row = begin_row(plan_, job, begin);
  row["n_tokens"] = n_tokens;
  row["prefill_ms"] = median(prefill_ms);
  row["profile_ms"] = median(profile_ms);
  row["profile_share"] = median(shares);
  return row;
}

}  // namespace headroom::eval
