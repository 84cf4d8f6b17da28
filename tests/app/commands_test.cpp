// The commands on a tiny model: the keys of their output, which stream it goes to, and the messages about bad input.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <set>

#include "app/turn_printer.h"
#include "tests/app/program.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace commands_test {
namespace {

std::set<std::string> keys_of(const json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

const std::set<std::string> profile_keys{
    "n_tokens",        "threshold",      "r_local",        "r_frequent",    "group",
    "policy_set",      "heads",          "kv_live_bytes",  "kv_full_bytes", "kv_pool_bytes",
    "first_token_top", "prefill_ms",     "profile_ms",     "backend",       "device",
    "kv_peak_bytes",   "turn_log_bytes", "resident_bytes", "cache_action",  "seed",
    "model",           "config",         "score",          "budget",        "keep",
    "kv_budget_bytes", "beta",           "cache_type"};

/// Checks an error about the input: exit code 1, one line.
void check_error(const Outcome& outcome, const std::string& expected) {
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.out.empty());
  CHECK(outcome.n_err_lines() == 1);
  CHECK_THAT(outcome.err, Contains(expected));
}

std::string write_temporary(const std::string& text) {
  const std::string path = temporary_path("prompt.txt");
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

}  // namespace

TEST_CASE("profile --json has its keys, and a head for each KV head of each layer") {
  const Outcome outcome = run_program({"profile", "-m", tiny_model_path(), "-p", "Hello there.", "--json"});
  REQUIRE(outcome.exit_code == 0);
  const json report = outcome.json();
  CHECK(keys_of(report) == profile_keys);
  CHECK(report["policy_set"] ==
        json({"special", "special+punct", "special+punct+frequent", "special+punct+frequent+local", "full"}));
  CHECK(report["threshold"] == 0.95);
  CHECK(report["group"] == "min");
  CHECK(report["config"] == "paper");
  CHECK(report["cache_action"] == "first_turn");
  CHECK(report["first_token_top"].size() == 10);
  CHECK(report["n_tokens"].get<int>() > 3);
  REQUIRE(report["heads"].size() == 4);
  int index = 0;
  int64_t bytes = 0;
  for (const json& head : report["heads"]) {
    CHECK(keys_of(head) == std::set<std::string>{"layer", "kv_head", "recovery", "policy", "kept_tokens",
                                                 "budget_tokens", "importance", "bytes"});
    CHECK(head["layer"] == index / 2);
    CHECK(head["kv_head"] == index % 2);
    CHECK(head["recovery"].size() == 5);
    CHECK(head["kept_tokens"] <= report["n_tokens"]);
    bytes += head["bytes"].get<int64_t>();
    ++index;
  }
  CHECK(report["kv_live_bytes"] == bytes);
}

TEST_CASE("profile options reach the cache") {
  const json report =
      run_program({"profile", "-m", tiny_model_path(), "-p", "Hello there, you.", "--json", "--policy-set",
                   "special,local", "--threshold", "1.01", "--group", "mean", "--r-local", "0.5"})
          .json();
  CHECK(report["policy_set"] == json({"special", "local"}));
  CHECK(report["threshold"] == 1.01);
  CHECK(report["r_local"] == 0.5);
  CHECK(report["group"] == "mean");
  for (const json& head : report["heads"]) {
    CHECK(head["policy"] == "full");  // no recovery reaches 1.01
    CHECK(head["kept_tokens"] == report["n_tokens"]);
  }
}

TEST_CASE("profile draws letters only where there is no terminal") {
  const Outcome outcome = run_program({"profile", "-m", tiny_model_path(), "-p", "Hello there."});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.find('\x1b') == std::string::npos);
  CHECK_THAT(outcome.out, Contains("KV head") && Contains("special+punct") && Contains("heads"));
  Program terminal;
  terminal.use_colour = true;
  CHECK_THAT(terminal.run({"profile", "-m", tiny_model_path(), "-p", "Hello there."}).out, Contains("\x1b[0m"));
}

TEST_CASE("run --json has the keys of profile and the answer, and the same seed gives the same answer") {
  const std::vector<std::string> args{"run", "-m", tiny_model_path(), "-p", "Hello", "-n", "8", "-s", "7", "--json"};
  const Outcome outcome = run_program(args);
  REQUIRE(outcome.exit_code == 0);
  const json report = outcome.json();
  std::set<std::string> keys = profile_keys;
  keys.insert({"ids", "text", "stop_reason", "prompt_tokens_per_s", "generate_tokens_per_s"});
  CHECK(keys_of(report) == keys);
  CHECK(report["seed"] == 7);
  CHECK(report["ids"].size() <= 8);
  CHECK(std::count(outcome.out.begin(), outcome.out.end(), '\n') == 1);  // one object, no streamed text
  CHECK(run_program(args).json()["ids"] == report["ids"]);
}

TEST_CASE("run writes the answer to standard output and one line of numbers to the other") {
  const std::vector<std::string> args{"run", "-m", tiny_model_path(), "-p", "Hello", "-n", "6", "--temp", "0"};
  const Outcome outcome = run_program(args);
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.n_err_lines() == 1);
  CHECK_THAT(outcome.err, Contains("prompt ") && Contains(" tokens") && Contains("MiB") && Contains("%"));
  std::vector<std::string> as_json = args;
  as_json.push_back("--json");
  std::string text = run_program(as_json).json()["text"];
  if (!text.empty() && text.back() != '\n') text += '\n';
  CHECK(outcome.out == text);
}

TEST_CASE("run -n 0 reads the prompt and answers nothing") {
  const json report = run_program({"run", "-m", tiny_model_path(), "-p", "Hello", "-n", "0", "--json"}).json();
  CHECK(report["ids"].empty());
  CHECK(report["text"] == "");
  CHECK(report["stop_reason"] == "max_tokens");
}

TEST_CASE("a prompt from a file or from standard input is the same as on the command line") {
  const std::string text = "Two\nlines, and \"quotes\".\n";
  const auto n_tokens = [&](const std::vector<std::string>& prompt, const std::string& input) {
    std::vector<std::string> args{"profile", "-m", tiny_model_path(), "--raw", "--json"};
    args.insert(args.end(), prompt.begin(), prompt.end());
    return run_program(args, input).json()["n_tokens"].get<int>();
  };
  const std::string path = write_temporary(text);
  const int expected = n_tokens({"-p", text}, "");
  CHECK(expected > 2);
  CHECK(n_tokens({"-f", path}, "") == expected);
  CHECK(n_tokens({"-f", "-"}, text) == expected);
  std::remove(path.c_str());
}

TEST_CASE("prompts that cannot be read get one sentence") {
  const std::string& model = tiny_model_path();
  check_error(run_program({"run", "-m", model, "-p", ""}), "the prompt is empty");
  check_error(run_program({"run", "-m", model, "-f", "-"}, ""), "empty");
  check_error(run_program({"run", "-m", model, "-f", "-"}, std::string("a\0b", 3)), "NUL");
  check_error(run_program({"run", "-m", model, "-p", "\xff\xfe"}), "UTF-8");
  check_error(run_program({"run", "-m", model, "-f", "/nowhere/prompt.txt"}), "/nowhere/prompt.txt");
  check_error(run_program({"run", "-m", model, "-f", "/tmp"}), "is a folder");
  check_error(run_program({"run", "-m", model, "-c", "16", "-p", std::string(400, 'x') + " y"}), "16");
}

TEST_CASE("a file that is not there, or a strange name, gets one harmless line") {
  check_error(run_program({"run", "-m", "/nowhere/model.gguf", "-p", "a"}), "/nowhere/model.gguf");
  const Outcome outcome = run_program({"inspect", "/nowhere/\x1b[2J\n.gguf"});
  check_error(outcome, "\\x1b[2J\\n.gguf");
  CHECK(outcome.err.find('\x1b') == std::string::npos);
}

TEST_CASE("a model without a template says so") {
  const Outcome outcome = run_program({"run", "-m", tiny_base_model_path(), "-p", "Once upon", "-n", "3"});
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.err, Contains("template"));
  const Outcome raw = run_program({"run", "-m", tiny_base_model_path(), "--raw", "-p", "Once upon", "-n", "3"});
  CHECK_THAT(raw.err, !Contains("template"));
}

TEST_CASE("--cache full keeps every token in every head") {
  const json report = run_program({"run", "-m", tiny_model_path(), "-p", "Hello you", "-n", "5", "--temp", "0",
                                   "--cache", "full", "--json"})
                          .json();
  CHECK(report["config"] == "full");
  for (const json& head : report["heads"]) {
    CHECK(head["policy"] == "full");
    CHECK(head["kept_tokens"] >= report["n_tokens"]);
  }
}

TEST_CASE("tokenize gives ids of every byte, as text and as JSON") {
  const std::string text = std::string("a\0b\xff", 4) + "\n";
  const Outcome plain = run_program({"tokenize", "-m", tiny_model_path()}, text);
  REQUIRE(plain.exit_code == 0);
  const json ids = run_program({"tokenize", "-m", tiny_model_path(), "--json"}, text).json()["ids"];
  std::string expected;
  for (const json& id : ids) expected += (expected.empty() ? "" : " ") + id.dump();
  CHECK(plain.out == expected + "\n");
  CHECK(ids.size() >= 2);
}

TEST_CASE("tokenize: control-token text stays text unless it is asked for, and BOS can be left out") {
  const auto n_ids = [](const std::vector<std::string>& more) {
    std::vector<std::string> args{"tokenize", "-m", tiny_model_path(), "--json"};
    args.insert(args.end(), more.begin(), more.end());
    return run_program(args, "<|im_start|>").json()["ids"].size();
  };
  CHECK(n_ids({"--no-bos", "--special"}) == 1);
  CHECK(n_ids({"--no-bos"}) > 1);
  CHECK(run_program({"tokenize", "-m", tiny_model_path(), "--no-bos"}, "").out == "\n");
}

TEST_CASE("tokenize and inspect take a file with a vocabulary and no tensors") {
  GgufWriter writer = make_tiny_model(Architecture::llama);
  const std::string path = temporary_path("vocab.gguf");
  const std::string text = "Hello there";
  const json expected = run_program({"tokenize", "-m", tiny_model_path(), "--json"}, text).json();
  writer.tensors.clear();
  writer.write(path);
  CHECK(run_program({"tokenize", "-m", path, "--json"}, text).json() == expected);
  const Outcome inspected = run_program({"inspect", path, "--json"});
  CHECK(inspected.exit_code == 0);
  CHECK(inspected.json()["runs"] == false);
  CHECK(inspected.json()["refusal"] != "");
  std::remove(path.c_str());
}

TEST_CASE("inspect lists metadata, tensors, totals and what it would need") {
  const json report = run_program({"inspect", tiny_model_path(), "--json"}).json();
  CHECK(report["runs"] == true);
  CHECK(report["refusal"] == "");
  CHECK(report["metadata"]["general.architecture"] == "llama");
  CHECK(report["metadata"]["tokenizer.ggml.tokens"]["type"] == "string");
  CHECK(report["metadata"]["tokenizer.ggml.tokens"]["first"].size() == 16);
  // 2 layers x 2 heads x 1000 tokens x 16 values x K and V x 2 bytes
  CHECK(report["kv_full_bytes_per_1000_tokens"] == 2 * 2 * 1000 * 16 * 2 * 2);
  int64_t bytes = 0;
  for (const json& tensor : report["tensors"]) bytes += tensor["bytes"].get<int64_t>();
  CHECK(report["weight_bytes"] == bytes);
  CHECK(report["totals"]["F32"]["bytes"] == bytes);

  const Outcome text = run_program({"inspect", "-m", tiny_model_path()});
  CHECK_THAT(text.out, Contains("token_embd.weight") && Contains("F32") && Contains("would it run here: yes"));
}

TEST_CASE("inspect makes a hostile file's strings harmless and judges foreign architectures") {
  GgufWriter writer = make_tiny_model(Architecture::llama);
  writer.set("general.name", "\x1b]0;owned\x07\x1b[2J\r\n");
  writer.set("evil\x1bkey", std::vector<std::string>{"\x1b[31m", "\xff\xfe", "ok"});
  writer.set("general.architecture", "mamba\x1b[2J");
  const std::string path = temporary_path("hostile.gguf");
  writer.write(path);
  const Outcome text = run_program({"inspect", path});
  CHECK(text.exit_code == 0);
  CHECK(text.out.find('\x1b') == std::string::npos);
  CHECK(text.out.find('\x07') == std::string::npos);
  CHECK_THAT(text.out, Contains("evil\\x1bkey") && Contains("\\xff\\xfe") && Contains("would it run here: no"));
  const Outcome as_json = run_program({"inspect", path, "--json"});
  CHECK(as_json.json()["runs"] == false);
  CHECK(as_json.out.find('\x1b') == std::string::npos);
  const Outcome run = run_program({"run", "-m", path, "-p", "a"});
  check_error(run, "mamba");
  CHECK(run.err.find('\x1b') == std::string::npos);
  std::remove(path.c_str());
}

TEST_CASE("devices marks the one that runs") {
  const json devices = run_program({"devices", "--backend", "cpu", "--json"}).json()["devices"];
  REQUIRE(devices.size() == 3);
  CHECK(devices[0]["backend"] == "cuda");
  CHECK(devices[2]["backend"] == "cpu");
  for (const json& device : devices) {
    CHECK(keys_of(device) == std::set<std::string>{"backend", "device", "available", "chosen", "skip_reason"});
    CHECK(device["chosen"] == (device["backend"] == "cpu"));
    if (!device["available"].get<bool>()) CHECK(device["skip_reason"] != "");
  }
  CHECK_THAT(run_program({"devices", "--backend", "cpu"}).out, Contains("* cpu"));
}

TEST_CASE("bench gives a result for each test and depth") {
  const Outcome outcome = run_program({"bench", "-m", tiny_model_path(), "-p", "16,32", "-n", "4", "--depth", "0,24",
                                       "--reps", "2", "--json", "-t", "1"});
  REQUIRE(outcome.exit_code == 0);
  const json report = outcome.json();
  CHECK(keys_of(report) == std::set<std::string>{"backend", "device", "model", "config", "reps",
                                                 "ragged_attention_ratio", "read_gb_per_s", "results"});
  std::vector<std::string> tests;
  for (const json& result : report["results"]) {
    tests.push_back(result["test"].get<std::string>() + "@" + result["depth"].dump());
    const json& speed = result["tokens_per_s"];
    CHECK(keys_of(speed) == std::set<std::string>{"median", "min", "max"});
    CHECK(speed["min"] <= speed["median"]);
    CHECK(speed["median"] <= speed["max"]);
    CHECK(speed["min"] > 0);
    CHECK(result["weight_bytes_per_token"] > 0);
    CHECK(result["gb_per_s"] > 0);
    CHECK(result["kv_live_bytes"] > 0);
    CHECK(!result["stages"].empty());
    const std::set<std::string> of_a_token{"calls_per_token",    "submissions_per_token", "waits_per_token",
                                           "bytes_up_per_token", "bytes_down_per_token",  "host_us_per_token"};
    const std::set<std::string> of_a_turn{"waits_per_turn"};
    CHECK(keys_of(result["counters"]) == (result["test"] == "tg4" ? of_a_token : of_a_turn));
  }
  CHECK(tests == std::vector<std::string>{"pp16@0", "pp32@0", "tg4@0", "pp16@24", "pp32@24", "tg4@24"});
  check_error(run_program({"bench", "-m", tiny_model_path(), "-p", "40", "-n", "0", "-c", "32"}), "32");
}

TEST_CASE("bench: weight bytes of a token are those of every matrix that a step reads") {
  const json results =
      run_program({"bench", "-m", tiny_model_path(), "-p", "8", "-n", "2", "--reps", "1", "--json"}).json()["results"];
  const json tensors = run_program({"inspect", tiny_model_path(), "--json"}).json()["tensors"];
  double bytes = 0;
  for (const json& tensor : tensors)
    if (tensor["name"] != "token_embd.weight") bytes += tensor["bytes"].get<double>();
  CHECK(results[1]["weight_bytes_per_token"] == bytes);
  CHECK(results[0]["weight_bytes_per_token"] == bytes / 8);
}

TEST_CASE("escape sequences in a model's text reach no terminal, and a file as they are") {
  std::istringstream in;
  Interrupt interrupt;
  for (const bool out_is_terminal : {true, false}) {
    std::ostringstream out, err;
    Console io{.in = in, .out = out, .err = err, .interrupt = interrupt, .out_is_terminal = out_is_terminal};
    TurnPrinter(io, true).on_text("\x1b[2Jhi");
    CHECK(out.str() == (out_is_terminal ? "␛[2Jhi" : "\x1b[2Jhi"));
  }
}

TEST_CASE("output that cannot be written is an error") {
  std::istringstream in;
  std::ostringstream err;
  std::ostream out(nullptr);  // every write fails
  Interrupt interrupt;
  Console io{.in = in, .out = out, .err = err, .interrupt = interrupt};
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"devices", "--backend", "cpu"}, {"--help"}, {"run", "--help"}, {"--version"}}) {
    CAPTURE(args);
    err.str("");
    out.clear();
    CHECK(run_main(args, io) == 1);
    CHECK_THAT(err.str(), Contains("standard output"));
  }
}

}  // namespace commands_test
