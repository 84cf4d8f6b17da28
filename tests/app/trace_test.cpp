// What `run --trace` records is what happened: a Mirror of the replay has the numbers of `run --json`, the turns of a
// chat, and the session's kept sets at any token. If recording fails, a message says so and the answer is complete.
#include "engine/telemetry/trace.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <random>

#include "app/recording.h"
#include "engine/backend/registry.h"
#include "engine/base/error.h"
#include "engine/telemetry/mirror.h"
#include "tests/app/program.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/model_paths.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace trace_test {
namespace {

using KeptSetsOfHeads = std::vector<std::vector<int32_t>>;

/// A path without a file; the file is removed at the end.
class TracePath {
 public:
  TracePath() : path_(temporary_path("run.hrtrace")) {}
  ~TracePath() { std::filesystem::remove(path_); }
  TracePath(const TracePath&) = delete;
  TracePath& operator=(const TracePath&) = delete;
  const std::string& operator*() const { return path_; }

 private:
  std::string path_;
};

std::vector<std::string> run_args(const std::vector<std::string>& more) {
  std::vector<std::string> args{"run", "-m", tiny_model_path(), "--temp", "0", "-n", "24", "-t", "1"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Replays the trace into the Mirror. Returns an empty string at its end, or the message about the damage.
std::string replay(
    const std::string& path, Mirror& mirror,
    const std::function<void(const stream::Event&)>& seen = [](const stream::Event&) {}) {
  TraceReader reader(path);
  try {
    while (const stream::Event* event = reader.next()) {
      mirror.apply(*event);
      seen(*event);
    }
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

KeptSetsOfHeads kept_sets(const Mirror& mirror) {
  KeptSetsOfHeads sets;
  for (size_t head = 0; head < mirror.heads().size(); ++head)
    sets.push_back(mirror.kept_positions(static_cast<int32_t>(head)));
  return sets;
}

/// Checks the Mirror's cache against the `--json` report.
void check_cache(const Mirror& mirror, const json& report) {
  const LoadedModel& model = *mirror.model();
  REQUIRE(mirror.heads().size() == report["heads"].size());
  CHECK(mirror.config().name == report["config"]);
  CHECK(mirror.config().threshold == report["threshold"]);
  CHECK(mirror.now().kv_live_bytes == report["kv_live_bytes"]);
  CHECK(mirror.now().kv_full_bytes == report["kv_full_bytes"]);
  CHECK(mirror.now().kv_pool_bytes == report["kv_pool_bytes"]);
  CHECK(mirror.has_profile());
  for (size_t i = 0; i < report["heads"].size(); ++i) {
    const json& expected = report["heads"][i];
    const MirrorHead& head = mirror.heads()[i];
    CAPTURE(i);
    CHECK(static_cast<int>(i) == expected["layer"].get<int>() * model.n_kv_heads + expected["kv_head"].get<int>());
    CHECK(policy_name(head.policy) == expected["policy"]);
    CHECK(head.kept_tokens == expected["kept_tokens"]);
    CHECK(mirror.kept_positions(static_cast<int32_t>(i)).size() == expected["kept_tokens"]);
    CHECK(head.pages * model.page_bytes == expected["bytes"].get<int64_t>());
    std::vector<double> recoveries;
    for (const Policy policy : mirror.config().policy_set) recoveries.push_back(head.profile.recovery(policy));
    CHECK(recoveries == expected["recovery"].get<std::vector<double>>());
  }
}

/// Checks the Mirror's only turn against the `run --json` report.
void check_turn(const Mirror& mirror, const json& report) {
  check_cache(mirror, report);
  const std::vector<TokenId> ids = report["ids"];
  const MirrorMessage& answer = mirror.messages().back();
  CHECK(answer.role == "assistant");
  CHECK(answer.content == report["text"]);
  CHECK(answer.ids == ids);
  CHECK(mirror.last_action() == report["cache_action"]);
  CHECK(mirror.last_turn()->stop_reason == report["stop_reason"]);
  CHECK(mirror.last_turn()->prefill_ms == report["prefill_ms"]);
  CHECK(mirror.last_turn()->profile_ms == report["profile_ms"]);
  CHECK(mirror.last_turn()->prompt_tokens_per_s == report["prompt_tokens_per_s"]);
  CHECK(mirror.last_turn()->generate_tokens_per_s == report["generate_tokens_per_s"]);
  REQUIRE(mirror.tokens().size() == report["n_tokens"].get<size_t>() + ids.size());
  for (size_t i = 0; i < ids.size(); ++i) CHECK(mirror.tokens()[report["n_tokens"].get<size_t>() + i].id == ids[i]);
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("run --trace: the recording of a turn has the numbers of run --json", "[trace]") {
  const std::string prompt = "Hello there. What is it that you keep, and what do you let go, of all these words?";
  for (const std::vector<std::string>& kind :
       {std::vector<std::string>{}, {"--raw"}, {"--system", "Be brief."}, {"--config", "streaming"}}) {
    const TracePath path;
    std::vector<std::string> args = run_args({"-p", prompt, "--json"});
    args.insert(args.end(), kind.begin(), kind.end());
    const Outcome plain = run_program(args);
    args.insert(args.end(), {"--trace", *path});
    const Outcome recorded = run_program(args);
    CAPTURE(kind, recorded.err);
    REQUIRE(recorded.exit_code == 0);
    CHECK(recorded.json()["ids"] == plain.json()["ids"]);
    CHECK(recorded.json()["heads"] == plain.json()["heads"]);

    Mirror mirror;
    CHECK(replay(*path, mirror) == "");
    CHECK(mirror.is_closed());
    check_turn(mirror, recorded.json());
    CHECK(mirror.messages()[mirror.messages().size() - 2].content == prompt);
    CHECK(mirror.messages().size() == (kind == std::vector<std::string>{"--system", "Be brief."} ? 3 : 2));
    CHECK((mirror.token_text().substr(0, prompt.size()) == prompt) == (kind == std::vector<std::string>{"--raw"}));
  }
}

TEST_CASE("run --trace: a chat's turns, undone, answered anew, under another configuration, and begun anew",
          "[trace]") {
  const TracePath path;
  const std::string script =
      "Hello\nAnd then?\n/undo\nAnother way.\n/regen\n/config h2o\nMore.\n/reset\nHello there.\n";
  const Outcome outcome = run_program(run_args({"--trace", *path}), script);
  CAPTURE(outcome.err);
  REQUIRE(outcome.exit_code == 0);

  Mirror mirror;
  std::string answers;
  std::vector<std::string> actions, configs;
  std::vector<size_t> n_messages;
  KeptSetsOfHeads kept_after_first, kept_after_undo;
  int32_t n_cached_after_reset = -1;
  const std::string why = replay(*path, mirror, [&](const stream::Event& event) {
    if (event.body_type() == stream::EventBody::CacheRebuilt && !mirror.turn()) {
      if (event.body_as_CacheRebuilt()->forgets())
        n_cached_after_reset = mirror.n_cached();
      else
        kept_after_undo = kept_sets(mirror);
    }
    if (event.body_type() != stream::EventBody::TurnFinished) return;
    answers += mirror.messages().back().content;
    if (!answers.empty() && answers.back() != '\n') answers += '\n';
    actions.push_back(mirror.last_action());
    configs.push_back(mirror.config().name);
    n_messages.push_back(mirror.messages().size());
    if (actions.size() == 1) kept_after_first = kept_sets(mirror);
  });
  CHECK(why == "");
  CHECK(mirror.is_closed());
  CHECK(answers == outcome.out);
  CHECK(actions ==
        std::vector<std::string>{"first_turn", "appended", "appended", "undone", "re_encoded", "first_turn"});
  CHECK(configs == std::vector<std::string>{"paper", "paper", "paper", "paper", "h2o", "h2o"});
  CHECK(n_messages == std::vector<size_t>{2, 4, 4, 4, 6, 2});
  CHECK_FALSE(kept_after_first.empty());
  CHECK(kept_after_undo == kept_after_first);
  CHECK(n_cached_after_reset == 0);

  const Outcome alone = run_program(run_args({"-p", "Hello there.", "--config", "h2o", "--json"}));
  check_cache(mirror, alone.json());
  CHECK(mirror.messages().back().ids == alone.json()["ids"].get<std::vector<TokenId>>());
}

TEST_CASE("run --trace: a file that is there is refused and stays as it is; so is a folder that is not there",
          "[trace]") {
  const TracePath path;
  std::ofstream(*path) << "precious";
  for (const std::vector<std::string>& turn : {std::vector<std::string>{"-p", "Hello"}, {}}) {
    std::vector<std::string> args = run_args({"--trace", *path});
    args.insert(args.end(), turn.begin(), turn.end());
    const Outcome outcome = run_program(args, "Hello\n");
    CHECK(outcome.exit_code == 1);
    CHECK(outcome.out.empty());
    CHECK(outcome.n_err_lines() == 1);
    CHECK_THAT(outcome.err, Contains(*path + " could not be created: File exists"));
    CHECK(file_text(*path) == "precious");
  }
  for (const std::string& bad : {*path + "/run.hrtrace", *path + "-none/run.hrtrace", std::string()}) {
    const Outcome outcome = run_program(run_args({"--trace", bad, "-p", "Hello"}));
    CAPTURE(bad, outcome.err);
    CHECK(outcome.exit_code != 0);
    CHECK(outcome.out.empty());
    CHECK(outcome.n_err_lines() == 1);
    CHECK(count(outcome.err, bad) > 0);
  }
}

TEST_CASE("run --trace: a full disk ends the recording with one sentence, and no answer", "[trace]") {
  const TracePath whole_path;
  const std::string script = "Hello there.\nAnd then?\n/undo\n/reset\nHello\n";
  const Outcome whole = run_program(run_args({"--trace", *whole_path}), script);
  REQUIRE(whole.exit_code == 0);
  const auto n_bytes = std::filesystem::file_size(*whole_path);
  Mirror all;
  replay(*whole_path, all);

  for (const double share : {0.1, 0.5, 0.9}) {
    const TracePath path;
    Outcome outcome;
    {
      const FileSizeLimit limit(static_cast<rlim_t>(share * static_cast<double>(n_bytes)));
      outcome = run_program(run_args({"--trace", *path}), script);
    }
    CAPTURE(share, outcome.err);
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.out == whole.out);
    CHECK(count(outcome.err, "headroom: the recording ended: the trace " + *path + " could not be written: ") == 1);
    CHECK(count(outcome.err, "recording") == 1);
    Mirror mirror;
    CHECK_THAT(replay(*path, mirror), Contains("cut off") || Contains("bytes; "));
    CHECK(mirror.n_events() > 2);
    CHECK(mirror.n_events() < all.n_events());
  }

  // No room even for the trace's header: the error comes before any answer.
  const TracePath path;
  Outcome outcome;
  {
    const FileSizeLimit limit(5);
    outcome = run_program(run_args({"--trace", *path, "-p", "Hello"}));
  }
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.out.empty());
  CHECK_THAT(outcome.err, Contains(*path + " could not be written: "));
}

TEST_CASE("kept sets rebuilt from a trace are the session's at 20 random tokens", "[trace]") {
  const std::optional<std::string> model_path = find_model(smollm2_file);
  if (!model_path) {
    WARN("skipped: no " << smollm2_file);
    return;
  }
  constexpr int32_t n_answer = 80;
  constexpr size_t n_moments = 20;

  struct Witness final : TurnObserver {
    const Session& session;
    std::map<int32_t, KeptSetsOfHeads> remembered;  // by position; the keys are chosen beforehand
    std::vector<size_t> chosen;                     // steps, ascending
    size_t n_steps = 0, n_evictions = 0;

    explicit Witness(const Session& session_) : session(session_) {
      std::vector<size_t> steps(n_answer - 1);
      for (size_t i = 0; i < steps.size(); ++i) steps[i] = i;
      std::sample(steps.begin(), steps.end(), std::back_inserter(chosen), n_moments, std::mt19937(20));
    }
    void on_step(const TokenStep& step) override {
      n_evictions += step.evictions.size();
      if (!std::binary_search(chosen.begin(), chosen.end(), n_steps++)) return;
      KeptSetsOfHeads& sets = remembered[step.position];
      for (const HeadState& head : session.cache_state().heads)
        sets.push_back(session.kept_positions(head.layer, head.kv_head));
    }
  };

  const TracePath path;
  const Model model(*model_path);
  const std::unique_ptr<Backend> backend = make_backend({});
  Session session(model, *backend, {.cache = *find_cache_config("paper"), .n_ctx = 1024});
  Witness witness(session);
  {
    std::istringstream in;
    std::ostringstream out, err;
    Interrupt interrupt;
    Console io{.in = in, .out = out, .err = err, .interrupt = interrupt};
    Recording recording(*path, model, session, io);
    TurnOptions options;
    options.sampler.temperature = 0;
    options.max_tokens = n_answer;
    options.ignore_end_of_turn = true;
    recording.run_turn({{.role = "user",
                         .content = "The keeper of the lighthouse climbed the hundred and twelve steps, cleaned the "
                                    "lens, and lit the lamp; then he wrote the weather into his book. Tell his story.",
                         .ids = {}}},
                       options, witness);
    CHECK(err.str().empty());
  }
  CHECK(witness.n_steps == n_answer - 1);
  CHECK(witness.n_evictions > 0);
  REQUIRE(witness.remembered.size() == n_moments);

  Mirror mirror;
  size_t n_compared = 0, n_smaller = 0;
  const std::string why = replay(*path, mirror, [&](const stream::Event& event) {
    if (event.body_type() != stream::EventBody::Step) return;
    const auto moment = witness.remembered.find(event.body_as_Step()->position());
    if (moment == witness.remembered.end()) return;
    const KeptSetsOfHeads rebuilt = kept_sets(mirror);
    REQUIRE(rebuilt.size() == moment->second.size());
    for (size_t head = 0; head < rebuilt.size(); ++head) {
      CAPTURE(moment->first, head);
      CHECK(rebuilt[head] == moment->second[head]);
      ++n_compared;
      n_smaller += rebuilt[head].size() < static_cast<size_t>(mirror.n_cached());
    }
  });
  CHECK(why == "");
  CHECK(n_compared == n_moments * mirror.heads().size());
  CHECK(n_smaller > 0);
  std::cout << n_compared << " kept sets at " << n_moments << " tokens compared, " << n_smaller
            << " of them with tokens let go; " << witness.n_evictions << " evictions in the turn" << std::endl;
}

}  // namespace trace_test
