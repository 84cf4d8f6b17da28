// One model and one job after another ─► rows. Here the method is: what is prefilled, what is fed, what is scored.
// A prompt is read once; every configuration that can then chooses from what was measured in that one prefill.
//
// A compressed cache acts from the first token on that is fed after a prefill, since a prefill attends to everything;
// so nothing is scored that a prefill alone decides.
//   fidelity:   the full cache answers a prompt with n tokens, each the likeliest, past an end of turn too. The other
//               configuration reads the prompt and is fed the same tokens; the n logits after them are compared.
//   perplexity: the first half of a text, at most 1024 tokens, is prefilled, the rest fed; every token after the first
//               fed one is scored.
//   probe:      all of the prompt but its last token is prefilled; solved if every token of the answer is the
//   likeliest. profiling:  a first turn without an answer, three times; the time that profiling takes.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "app/eval/plan.h"
#include "engine/backend/backend.h"
#include "engine/run/session.h"

namespace headroom::eval {

/// One finished job; its keys are those of the JSON report.
using Row = Json;

/// Thrown where `stop` says so.
struct Stopped {};

/// What a cache holds when a prompt has been read.
struct PromptStart {
  double kept_ratio = 0;  // tokens that all heads hold, of the columns within reach
  int64_t kv_live_bytes = 0;
  int64_t kv_full_bytes = 0;
  double threshold = 0;           // effective
  std::span<const float> logits;  // until the next token
};

class Runner {
 public:
  /// plan and backend must outlive it. stop: asked between blocks and tokens. on_part: share of the job that is done.
  /// on_note: a sentence about a text, each time it is read.
  Runner(const Plan& plan, size_t model, Backend& backend, int32_t n_ctx, std::function<bool()> stop,
         std::function<void(double)> on_part, std::function<void(const std::string&)> on_note);
  ~Runner();

  /// One row for each job: one job, or several of the same probe. Throws Stopped, and Error with the subject's and the
  /// configuration's name.
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
  /// Whether every token of the answer is the likeliest.
  bool solves(const Cell& cell, const ProbeInstance& instance, PromptStart* after_prompt);
  PromptStart start(const Cell& cell, const std::vector<TokenId>& ids);
  double kept_ratio(const CacheState& state) const;
  std::span<const float> feed(TokenId id);
  std::span<const float> prefill(std::span<const TokenId> ids);
  void check_room(size_t n_tokens) const;
  void check_stop() const;

  const Plan& plan_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Session> session_;
  std::function<bool()> stop_;
  std::function<void(double)> on_part_;
  std::function<void(const std::string&)> on_note_;
  std::unique_ptr<Teacher> teacher_;  // of the prompt that was looked at last
  std::vector<TokenId> read_ids_;     // what the session has read for all configurations; empty: nothing
  CacheType read_type_ = CacheType::f16;
  std::string running_;  // the configuration, for sentences: the job's or, for its teacher, the full one
};

}  // namespace headroom::eval
