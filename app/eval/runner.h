// One model and its jobs, one after another ─► rows. This file defines the method: what is prefilled, what is fed, what
// is scored. A prompt is prefilled once. Every configuration that can choose from the measurements of that prefill does
// so.
//
// A prefill attends to everything, so a compressed cache matters only from the first token fed after it. Therefore
// nothing is scored that a prefill alone decides.
//   fidelity:   the full cache answers a prompt with n tokens, each the most likely, even past an end of turn. The
//               other configuration prefills the prompt and is fed the same tokens; the n logits after them are
//               compared.
//   perplexity: the first half of a text, at most 1024 tokens, is prefilled, the rest fed. Every token after the first
//               fed one is scored.
//   probe:      all of the prompt except its last token is prefilled. Solved if every token of the answer is the most
//               likely.
//   profiling:  a first turn without an answer, three times; measures the time that profiling takes.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "app/eval/plan.h"
#include "engine/backend/backend.h"
#include "engine/run/cache_lab.h"

namespace headroom::eval {

/// One finished job; its keys are those of the JSON report.
using Row = Json;

/// Thrown if `stop` returns true.
struct Stopped {};

/// The state of the cache after a prompt was prefilled.
struct PromptStart {
  double kept_ratio = 0;  // tokens that all heads hold, divided by the tokens within reach of all heads
  int64_t kv_live_bytes = 0;
  int64_t kv_full_bytes = 0;
  double threshold = 0;           // effective
  std::span<const float> logits;  // valid until the next token is fed
};

class Runner {
 public:
  /// plan and backend must outlive it. stop: called between blocks and tokens. on_part: receives the finished share of
  /// the job. on_note: a sentence about a text, each time it is read.
  Runner(const Plan& plan, size_t model, Backend& backend, int32_t n_ctx, std::function<bool()> stop,
         std::function<void(double)> on_part, std::function<void(const std::string&)> on_note);
  ~Runner();

  /// Returns one row per job. jobs: one job, or several of the same probe. Throws Stopped, or an Error that names the
  /// subject and the configuration.
  std::vector<Row> run(std::span<const Job> jobs);

 private:
  struct Teacher;

  Row fidelity(const Job& job);
  Row perplexity(const Job& job);
  std::vector<Row> probe(std::span<const Job> jobs);
  Row profiling(const Job& job);

  const Teacher& teacher(size_t prompt);
  std::vector<TokenId> prompt_ids(size_t prompt) const;
  std::vector<TokenId> raw_ids(const Text& text, bool allow_control) const;
  std::vector<TokenId> profiled_ids(int32_t n_tokens) const;
  /// Whether every token of the answer is the most likely one.
  bool solves(const Cell& cell, const ProbeInstance& instance, PromptStart* after_prompt);
  PromptStart start(const Cell& cell, const std::vector<TokenId>& ids);
  double kept_ratio(const CacheState& state) const;
  std::span<const float> feed(TokenId id);
  std::span<const float> prefill(std::span<const TokenId> ids);
  void check_room(size_t n_tokens) const;
  void check_stop() const;

  const Plan& plan_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<CacheLab> session_;
  std::function<bool()> stop_;
  std::function<void(double)> on_part_;
  std::function<void(const std::string&)> on_note_;
  std::unique_ptr<Teacher> teacher_;  // of the most recent prompt
  std::vector<TokenId> read_ids_;     // what the session has prefilled for all configurations; empty: nothing
  CacheType read_type_ = CacheType::f16;
  std::string running_;  // label of the current configuration, for error sentences; the teacher's is the full one
};

}  // namespace headroom::eval
