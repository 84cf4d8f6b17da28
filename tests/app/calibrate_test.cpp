// `headroom calibrate` and the use of its table, on a tiny model: the result file, resuming after a kill, tables that
// do not fit, and the options that depend on a table.
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/app/program.h"
#include "tests/support/setting.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace calibrate_test {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// A text of several hundred tokens, all different from call to call.
std::string write_text(const std::string& name, int first) {
  const std::string path = temporary_path(name);
  std::ofstream file(path, std::ios::binary);
  for (int i = first; i < first + 120; ++i) file << "Line " << i << " says " << i * i % 97 << ".\n";
  return path;
}

struct Files {
  std::string a = write_text("measure.txt", 1), b = write_text("choose.txt", 500);
  std::string out = temporary_path("table.json");
  Files() { std::filesystem::remove(out); }

  std::vector<std::string> args(std::vector<std::string> more = {}) const {
    std::vector<std::string> all{"calibrate", "-m", tiny_model_path(), "-c", "2048", "-f", a, "-f", b, "--out", out,
                                 "-n",        "2",  "--n-choice",      "2"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

void check_refused(const Outcome& outcome, const std::string& expected) {
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.out.empty());
  CHECK_THAT(outcome.err, Contains(expected));
}

}  // namespace

TEST_CASE("a calibration leaves its table, says what it chose, and is the same the second time") {
  const Files files;
  const Outcome first = run_program(files.args());
  REQUIRE(first.exit_code == 0);
  CHECK_THAT(first.out, Contains("chosen: score"));
  CHECK_THAT(first.out, Contains(files.out));
  const std::string table = text_of(files.out);
  const json object = json::parse(table);
  CHECK(object["model"]["n_layers"].get<size_t>() * object["model"]["n_kv_heads"].get<size_t>() ==
        object["losses"]["expected"].size());
  CHECK(object["measured_on"][0]["name"] == std::filesystem::path(files.a).filename().string());
  CHECK(object["chosen_on"][0]["n_tokens"].get<int>() >= 256);
  CHECK(object["trials"].size() == 18);  // with one text every pair is tried to the end
  CHECK(!std::filesystem::exists(files.out + ".partial"));

  CHECK(run_program(files.args({"--json"})).out == table);
}

TEST_CASE("a calibration that was killed goes on with what it had measured, and comes to the same table") {
  const Files files;
  REQUIRE(run_program(files.args()).exit_code == 0);
  const std::string whole = text_of(files.out);

  const std::string partial = files.out + ".partial";
  std::filesystem::remove(files.out);
  {
    // The file of a run that was killed while it wrote: its first results, then half a line.
    const json object = json::parse(whole);
    std::ofstream file(partial, std::ios::binary);
    const nlohmann::ordered_json run{
        {"headroom_calibration_run", 1},
        {"version", object["version"]},
        {"fingerprint", object["model"]["fingerprint"]},
        {"measure_on", json::array({{object["measured_on"][0]["name"], object["measured_on"][0]["hash"]}})},
        {"choose_on", json::array({{object["chosen_on"][0]["name"], object["chosen_on"][0]["hash"]}})},
        {"n_tokens", 2},
        {"n_choice_tokens", 2},
        {"n_ctx", 2048},
        {"backend", "cpu"},
        {"head_share", 0.25},
        {"keeps", {0.5, 0.35, 0.25}},
        {"betas", {0.0, 0.3, 0.5, 0.8, 1.0, 1.2}},
        {"max_text_tokens", 1536},
        {"seed", 1}};
    const std::string name = "accumulated/" + object["measured_on"][0]["name"].get<std::string>() + "/0";
    file << run.dump() << '\n' << json{{"name", name}, {"kl", 123.5}}.dump() << "\n{\"name\": \"accumul";
  }
  // An existing result is reused: no measurement could give 123.5.
  REQUIRE(run_program(files.args()).exit_code == 0);
  const json resumed = json::parse(text_of(files.out));
  CHECK(resumed["losses"]["accumulated"][0].get<double>() == Approx(123.5));
  CHECK(resumed["losses"]["accumulated"][1] == json::parse(whole)["losses"]["accumulated"][1]);
  CHECK(!std::filesystem::exists(partial));
}

TEST_CASE("an evaluation does not go on under another table") {
  const Files files;
  REQUIRE(run_program(files.args()).exit_code == 0);
  const std::string state = temporary_path("eval.state");
  std::filesystem::remove(state);
  const std::vector<std::string> eval{
      "eval", "-m", tiny_model_path(), "-c",      "2048",     "-f", files.a, "--config", "headroom", "--keep", "0.5",
      "-n",   "2",  "--calibration",   files.out, "--resume", state};
  REQUIRE(run_program(eval).exit_code == 0);
  CHECK(run_program(eval).exit_code == 0);
  json table = json::parse(text_of(files.out));
  table["chosen"]["beta"] = 0.3 + table["chosen"]["beta"].get<double>();
  std::ofstream(files.out, std::ios::binary) << table;
  check_refused(run_program(eval), "other importance");
}

TEST_CASE("the results of another calibration are refused and stay") {
  const Files files;
  const std::string partial = files.out + ".partial";
  std::ofstream(partial, std::ios::binary) << "{\"headroom_calibration_run\":1,\"seed\":77}\n";
  check_refused(run_program(files.args()), "holds results of another calibration");
  CHECK_THAT(text_of(partial), Contains("77"));
  CHECK(!std::filesystem::exists(files.out));
  std::filesystem::remove(partial);
}

TEST_CASE("texts that are too short, or only one, are refused") {
  const Files files;
  const std::string small = temporary_path("small.txt");
  std::ofstream(small, std::ios::binary) << "Hello.";
  const Outcome short_text =
      run_program({"calibrate", "-m", tiny_model_path(), "-c", "2048", "-f", files.a, "-f", small, "--out", files.out});
  check_refused(short_text, "expected at least 256 to calibrate on");
  const Outcome one = run_program({"calibrate", "-m", tiny_model_path(), "-f", files.a, "--out", files.out});
  CHECK(one.exit_code == 2);
  CHECK_THAT(one.err, Contains("at least two"));
}

TEST_CASE("the configuration headroom follows a table, and says where there is none") {
  const Files files;
  REQUIRE(run_program(files.args()).exit_code == 0);
  const std::vector<std::string> profile{"profile", "-m",       tiny_model_path(), "-f",     files.a, "-c",
                                         "2048",    "--config", "headroom",        "--keep", "0.5",   "--json"};
  std::vector<std::string> with_table = profile;
  with_table.insert(with_table.end(), {"--calibration", files.out});
  const Outcome calibrated = run_program(with_table), plain = run_program(profile);
  REQUIRE(calibrated.exit_code == 0);
  REQUIRE(plain.exit_code == 0);
  CHECK(calibrated.err.empty());
  CHECK_THAT(plain.err, Contains("no calibration"));
  CHECK(plain.json()["heads"][0]["importance"].is_null());
  const json report = calibrated.json();
  int64_t kept = 0;
  double importance = 0;
  for (const json& head : report["heads"]) {
    kept += head["kept_tokens"].get<int64_t>();
    importance += head["importance"].get<double>();
    CHECK(head["kept_tokens"] == head["budget_tokens"]);
  }
  const auto n_heads = static_cast<double>(report["heads"].size());
  CHECK(importance == Approx(n_heads).epsilon(1e-4));
  CHECK(static_cast<double>(kept) == Approx(0.5 * n_heads * report["n_tokens"].get<double>()).margin(1));
}

TEST_CASE("a chat shares memory by the model's table where there is one, else it takes the paper's policies") {
  const Files files;
  const std::string folder = temporary_path("settings");
  const Setting config_home("XDG_CONFIG_HOME", folder.c_str());
  const auto first_line = [](const std::vector<std::string>& more) {
    Program terminal;
    terminal.in_is_terminal = true;
    std::vector<std::string> args{"chat", "-m", tiny_model_path()};
    args.insert(args.end(), more.begin(), more.end());
    return terminal.run(args, "/quit\n").err;
  };
  CHECK_THAT(first_line({}), Contains("configuration paper"));
  std::vector<std::string> calibrate = files.args();
  calibrate.erase(std::find(calibrate.begin(), calibrate.end(), "--out"),
                  std::next(std::find(calibrate.begin(), calibrate.end(), files.out)));
  CHECK(run_program(calibrate).exit_code == 0);
  CHECK_THAT(first_line({}), Contains("configuration headroom"));
  for (const char* option : {"--threshold", "--r-local"})
    CHECK_THAT(first_line({option, "0.9"}), Contains("configuration paper"));
  CHECK_THAT(first_line({"--keep", "0.3"}), Contains("configuration headroom"));
  CHECK_THAT(first_line({"--config", "h2o", "--keep", "0.3"}), Contains("configuration h2o"));
  // `profile` and `run` default to the paper's configuration, as scripts expect.
  CHECK(run_program({"profile", "-m", tiny_model_path(), "-p", "Hello", "--json"}).json()["config"] == "paper");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) std::ofstream(entry.path(), std::ios::trunc) << "{";
  CHECK_THAT(first_line({}), Contains("configuration headroom") && Contains("is no calibration"));
  std::filesystem::remove_all(folder);
}

TEST_CASE("damaged tables and tables of another model are refused with a sentence") {
  const Files files;
  REQUIRE(run_program(files.args()).exit_code == 0);
  const json good = json::parse(text_of(files.out));
  const auto run_with = [&](const std::string& text) {
    std::ofstream(files.out, std::ios::binary | std::ios::trunc) << text;
    return run_program(
        {"profile", "-m", tiny_model_path(), "-p", "Hello", "--config", "headroom", "--calibration", files.out});
  };
  const auto changed = [&](const char* pointer, const json& value) {
    json object = good;
    object[json::json_pointer(pointer)] = value;
    return object.dump();
  };
  CHECK(run_with(good.dump()).exit_code == 0);
  check_refused(run_with(""), "is no calibration");
  check_refused(run_with("[1, 2"), "is no calibration");
  check_refused(run_with("{}"), "is no calibration");
  check_refused(run_with(good.dump().substr(0, 300)), "is no calibration");
  check_refused(run_with(changed("/headroom_calibration", 99)), "its format is 99");
  check_refused(run_with(changed("/losses/expected", json::array({1, 2}))), "losses.expected has 2 values");
  check_refused(run_with(changed("/losses/accumulated/0", -1)), "is no loss");
  check_refused(run_with(changed("/chosen/beta", 1e9)), "beta is");
  check_refused(run_with(changed("/chosen/score", "guessed")), "the score is");
  CHECK(run_with(changed("/chosen/score", "mixed")).exit_code == 0);
  check_refused(run_with(changed("/model/n_layers", 1 << 30)), "expected 1 to 4096");
  check_refused(run_with(changed("/model/fingerprint", "00")), "the calibration of another model");
  check_refused(run_with(changed("/model/n_layers", 7)), "is no calibration");  // the losses no longer fit
}

TEST_CASE("bytes, share and threshold are knobs that exclude one another where they would contradict") {
  const auto usage = [](std::vector<std::string> more, const std::string& expected) {
    std::vector<std::string> args{"profile", "-m", tiny_model_path(), "-p", "Hello"};
    args.insert(args.end(), more.begin(), more.end());
    const Outcome outcome = run_program(args);
    CHECK(outcome.exit_code == 2);
    CHECK_THAT(outcome.err, Contains(expected));
  };
  usage({"--kv-budget", "24Mib"}, "expected a size such as 24MiB");
  usage({"--kv-budget", "-1"}, "expected a size such as 24MiB");
  usage({"--kv-budget", "24MiB", "--config", "paper"}, "--kv-budget needs budgets that heads share");
  usage({"--keep", "0.5", "--threshold", "0.9"}, "--keep finds the threshold");
  usage({"--config", "headroom", "--threshold", "0.9"}, "follow --keep");
  usage({"--keep", "0"}, "--keep is 0");
  usage({"--cache-type", "q4_0"}, "expected f16 or q8_0");
  usage({"--calibration", "x.json"}, "--calibration needs a configuration that counts importance");
  const Outcome small = run_program({"profile", "-m", tiny_model_path(), "-p", "Hello", "--kv-budget", "1KiB"});
  check_refused(small, "the KV budget is 1024 bytes; expected at least");
}

TEST_CASE("--keep with the paper's set finds a threshold that keeps no more") {
  const Files files;
  for (const double keep : {0.8, 0.5}) {
    const Outcome outcome = run_program(
        {"profile", "-m", tiny_model_path(), "-f", files.a, "-c", "2048", "--keep", std::to_string(keep), "--json"});
    REQUIRE(outcome.exit_code == 0);
    const json report = outcome.json();
    int64_t kept = 0;
    for (const json& head : report["heads"]) kept += head["kept_tokens"].get<int64_t>();
    const double all = static_cast<double>(report["heads"].size()) * report["n_tokens"].get<double>();
    CHECK(static_cast<double>(kept) <= keep * all + 1);
    CHECK(report["threshold"] != 0.95);
    CHECK(report["r_local"] == report["r_frequent"]);
  }
}

TEST_CASE("Ctrl+C ends a calibration by the signal, and the same command goes on") {
  const Files files;
  Program program;
  const EarlyInterrupt press(program.interrupt);
  const Outcome stopped = program.run(files.args());
  CHECK(stopped.exit_code == signal_exit_base + SIGINT);
  CHECK_THAT(stopped.err, Contains("interrupted; the same command goes on with what " + files.out + ".partial holds"));
  CHECK(std::filesystem::exists(files.out + ".partial"));
  CHECK(!std::filesystem::exists(files.out));
  CHECK(run_program(files.args({"--chat-template", "chatml"})).exit_code == 1);  // another run than the one begun
  CHECK(run_program(files.args()).exit_code == 0);
}

}  // namespace calibrate_test
