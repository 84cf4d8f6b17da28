// `headroom eval` as a program, on a tiny model and, if it is present, on the default model.
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>

#include "tests/app/program.h"
#include "tests/support/model_paths.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace eval_command_test {
namespace {

const std::string text = "Once there was a small town by the sea, and every morning the boats went out before the sun.";

std::vector<std::string> eval_args(const std::vector<std::string>& more) {
  std::vector<std::string> args{"eval", "-m", tiny_model_path(), "-n", "6", "-t", "1"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

/// The rows without measured times.
json without_times(json report) {
  for (const char* key : {"rows", "perplexity", "probes", "profiling"})
    for (json& row : report[key])
      for (const char* time : {"generate_tokens_per_s", "prefill_ms", "profile_ms", "profile_share"}) row.erase(time);
  report.erase("shard");
  return report;
}

std::string write_temporary(const std::string& name, const std::string& content) {
  const std::string path = temporary_path(name);
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

void check_usage(const std::vector<std::string>& args, const std::string& expected) {
  const Outcome outcome = run_program(args);
  INFO(outcome.err);
  CHECK(outcome.exit_code == 2);
  CHECK(outcome.n_err_lines() == 1);
  CHECK_THAT(outcome.err, Contains(expected));
}

}  // namespace

TEST_CASE("a byte that the vocabulary has no token for is left out, and said once for each text", "[eval]") {
  const std::optional<std::string> model = find_model(smollm2_file);
  if (!model) {
    WARN("skipped: " << smollm2_file << " is not there");
    return;
  }
  const std::string pasted = write_temporary("pasted.txt",
                                             "a log line\x1d"
                                             "and another one, which goes on a little");
  const std::string sentence =
      "the model's vocabulary has no token for the byte 0x1D, which was left out of the prompt";
  const auto n_said = [&](const Outcome& outcome) {
    INFO(outcome.err);
    CHECK(outcome.exit_code == 0);
    size_t n = 0;
    for (size_t at = 0; (at = outcome.err.find(sentence, at)) != std::string::npos; ++at) ++n;
    return n;
  };
  for (const char* raw : {"", "--raw"}) {
    std::vector<std::string> args{"eval", "-m", *model, "-n", "2", "-f", pasted, "--config", "h2o,streaming"};
    if (*raw != '\0') args.push_back(raw);
    CHECK(n_said(run_program(args)) == 1);
  }
  CHECK(n_said(run_program({"eval", "-m", *model, "--perplexity", pasted, "--config", "h2o,streaming"})) == 1);
  CHECK(n_said(run_program({"profile", "-m", *model, "-f", pasted})) == 1);
  CHECK(n_said(run_program({"profile", "-m", *model, "--raw", "-f", pasted})) == 1);
}

TEST_CASE("the full cache against itself diverges by nothing, others by something", "[eval]") {
  const Outcome outcome = run_program(eval_args({"-p", text, "--config", "full,h2o", "--keep", "0.25", "--json"}));
  REQUIRE(outcome.exit_code == 0);
  const json report = outcome.json();
  REQUIRE(report["rows"].size() == 2);
  const json& full = report["rows"][0];
  CHECK(full["config"] == "full");
  CHECK(full["keep"].is_null());
  CHECK(full["mean_kl"] == 0.0);
  CHECK(full["agreement"] == 1.0);
  CHECK(full["first_difference"] == -1);
  CHECK(full["kept_ratio"] == 1.0);
  CHECK(full["n_scored"] == 6);
  const json& h2o = report["rows"][1];
  CHECK(h2o["keep"] == 0.25);
  CHECK(h2o["mean_kl"].get<double>() > 0);
  CHECK(h2o["p95_kl"] >= h2o["mean_kl"]);
  CHECK(h2o["kept_ratio"].get<double>() == Approx(0.25).margin(0.03));
  CHECK(h2o["kv_live_bytes"] < full["kv_live_bytes"]);
  CHECK(h2o["kv_full_bytes"] == full["kv_full_bytes"]);
  CHECK(report["summary"][0]["geometric_mean_kl"].get<double>() == Approx(1e-9));
}

TEST_CASE("two shards merged are the whole, in JSON and as a table", "[eval]") {
  const std::vector<std::string> what{"-p",           text,
                                      "--config",     "paper,streaming,h2o",
                                      "--perplexity", write_temporary("long.txt", text + text),
                                      "--probe",      "needle",
                                      "--instances",  "2"};
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> args = eval_args(what);
    args.insert(args.end(), more.begin(), more.end());
    const Outcome outcome = run_program(args);
    INFO(outcome.err);
    REQUIRE(outcome.exit_code == 0);
    return outcome.out;
  };
  const std::string whole = run({"--json"});
  const std::string one = write_temporary("one.json", run({"--json", "--shard", "1/2"}));
  const std::string two = write_temporary("two.json", run({"--json", "--shard", "2/2"}));
  const Outcome merged = run_program({"eval", "merge", one, two, "--json"});
  REQUIRE(merged.exit_code == 0);
  CHECK(merged.err.empty());
  CHECK(without_times(merged.json()) == without_times(json::parse(whole)));
  CHECK_THAT(run_program({"eval", "merge", one}).err, Contains("of 11 rows were found"));
  const Outcome table = run_program({"eval", "merge", one, two});
  CHECK_THAT(table.out, Contains("KL, nats") && Contains("perplexity") && Contains("against full"));
  std::remove(one.c_str());
  std::remove(two.c_str());
  std::remove(what[5].c_str());
}

TEST_CASE("a resumed evaluation computes only what is missing, and files are written", "[eval]") {
  const std::string state = temporary_path("resume.state"), csv = temporary_path("rows.csv"),
                    svg = temporary_path("plot.svg");
  const std::vector<std::string> args =
      eval_args({"-p", text, "--config", "h2o,streaming", "--resume", state, "--json", "--csv", csv, "--plot", svg});
  const Outcome first = run_program(args);
  REQUIRE(first.exit_code == 0);
  CHECK(std::filesystem::file_size(csv) > 0);
  CHECK(std::filesystem::file_size(svg) > 0);
  const Outcome again = run_program(args);
  CHECK_THAT(again.err, Contains("2 of 2 rows were done before"));
  CHECK(again.out == first.out);  // to the last digit of the times
  std::filesystem::resize_file(state, std::filesystem::file_size(state) - 20);
  const Outcome after_crash = run_program(args);
  CHECK_THAT(after_crash.err, Contains("the last line was not finished") && Contains("1 of 2 rows were done before"));
  CHECK(without_times(after_crash.json()) == without_times(first.json()));
  const Outcome other =
      run_program(eval_args({"-p", "another prompt", "--config", "h2o,streaming", "--resume", state}));
  CHECK(other.exit_code == 1);
  CHECK_THAT(other.err, Contains("is the state of an evaluation with other prompts"));
  for (const std::string& path : {state, csv, svg}) std::remove(path.c_str());
}

TEST_CASE("experiments and tasks run like any other evaluation", "[eval]") {
  const Outcome sweep = run_program(eval_args({"-p", text, "--experiment", "t-sweep", "--json"}));
  REQUIRE(sweep.exit_code == 0);
  CHECK(sweep.json()["summary"].size() == 6);
  CHECK(sweep.json()["rows"][5]["threshold"] == 0.7);
  CHECK(sweep.json()["rows"][5]["setting"] == "T 0.7");
  const Outcome probes = run_program(
      eval_args({"--probe", "all", "--instances", "2", "--config", "streaming", "--keep", "0.5", "--json"}));
  INFO(probes.err);
  REQUIRE(probes.exit_code == 0);
  CHECK(probes.json()["probes"].size() == 12);
  CHECK(probes.json()["probes"][0]["config"] == "full");
  CHECK(probes.json()["probes"][1]["solved"].get<std::string>().size() == 2);
}

TEST_CASE("a folder of prompts is read by name, and sizes that do not fit are said", "[eval]") {
  const std::string folder = temporary_path("prompts");
  std::filesystem::create_directory(folder);
  CHECK_THAT(run_program(eval_args({"--prompts", folder})).err, Contains("holds no .txt file"));
  for (const char* name : {"b.txt", "a.txt", "c.md"}) std::ofstream(folder + "/" + name) << text << name;
  const json report = run_program(eval_args({"--prompts", folder, "--config", "h2o", "--raw", "--json"})).json();
  REQUIRE(report["rows"].size() == 2);
  CHECK(report["rows"][0]["prompt"] == "a.txt");
  CHECK(report["rows"][1]["prompt"] == "b.txt");
  const Outcome too_long = run_program(eval_args({"--prompts", folder, "-c", "16"}));
  CHECK(too_long.exit_code == 1);
  CHECK_THAT(too_long.err, Contains("a.txt under headroom") && Contains("the context holds 16"));
  std::filesystem::remove_all(folder);
}

TEST_CASE("logits that are no numbers end the evaluation with the prompt's and the configuration's name", "[eval]") {
  const std::string path = temporary_path("nan.gguf");
  GgufWriter model = make_tiny_model(Architecture::llama);
  model.set_tensor("output_norm.weight", {64}, std::vector<float>(64, std::numeric_limits<float>::quiet_NaN()));
  model.write(path);
  const Outcome outcome = run_program({"eval", "-m", path, "-p", text, "--config", "h2o"});
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.n_err_lines() == 1);
  CHECK_THAT(outcome.err, Contains("prompt under full: ") &&
                              Contains("tensor 'output_norm.weight': 64 of 64 values are not numbers"));
  std::remove(path.c_str());
}

TEST_CASE("what an evaluation is not given right it says in one line", "[eval]") {
  check_usage(eval_args({}), "eval needs something to measure");
  check_usage(eval_args({"-p", text, "--shard", "5/4"}), "--shard is '5', expected a whole number from 1 to 4");
  check_usage(eval_args({"-p", text, "--shard", "2"}), "expected two numbers such as 1/4");
  check_usage(eval_args({"-p", text, "--config", "papr"}), "the nearest is paper");
  check_usage(eval_args({"-p", text, "--config", "h2o,h2o"}), "names something twice");
  check_usage(eval_args({"-p", text, "--keep", "1.5"}), "--keep is '1.5', expected a number from 0.01 to 1");
  check_usage(eval_args({"-p", text, "--keep", "0.5,"}), "--keep is ''");
  check_usage(eval_args({"-p", text, "--cache-type", "q4"}), "--cache-type names 'q4'");
  check_usage(eval_args({"--probe", "haystack"}), "--probe names 'haystack'");
  check_usage(eval_args({"-p", text, "--experiment", "table-9"}), "unknown experiment 'table-9'");
  check_usage(eval_args({"-p", text, "--experiment", "order", "--config", "h2o"}), "contradicts --config");
  check_usage(eval_args({"-p", text, "--experiment", "t-sweep", "--keep", "0.5"}), "which --keep contradicts");
  check_usage({"eval", "merge"}, "needs the reports of shards");
  const std::string foreign = write_temporary("foreign.json", "not a report");
  const Outcome merge = run_program({"eval", "merge", foreign});
  CHECK(merge.exit_code == 1);
  CHECK(merge.n_err_lines() == 1);
  CHECK_THAT(merge.err, Contains("is not a report of `headroom eval --json`"));
  std::remove(foreign.c_str());
}

TEST_CASE("on the default model full against full is exact, and half of the cache costs something", "[eval]") {
  const auto model = find_model(smollm2_file);
  if (!model) {
    WARN("skipped: " << smollm2_file << " is not there");
    return;
  }
  const Outcome outcome = run_program(
      {"eval", "-m", *model, "-p", text, "-n", "8", "--config", "full,streaming", "--keep", "0.5", "--json"});
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  const json report = outcome.json();
  CHECK(report["rows"][0]["mean_kl"] == 0.0);
  CHECK(report["rows"][0]["agreement"] == 1.0);
  CHECK(report["rows"][1]["mean_kl"].get<double>() > 0);
  CHECK(report["rows"][1]["generate_tokens_per_s"].get<double>() > 0);
}

TEST_CASE("Ctrl+C ends an evaluation by the signal, and the finished rows stay") {
  const std::string state = temporary_path("interrupted.state");
  Program program;
  const EarlyInterrupt press(program.interrupt);
  const Outcome stopped = program.run(eval_args({"-p", text, "--config", "streaming,local", "--resume", state}));
  CHECK(stopped.exit_code == signal_exit_base + SIGINT);
  CHECK_THAT(stopped.err, Contains("the same command goes on with the rows that " + state + " holds"));
  CHECK(run_program(eval_args({"-p", text, "--config", "streaming,local", "--resume", state})).exit_code == 0);
  std::remove(state.c_str());
}

}  // namespace eval_command_test
