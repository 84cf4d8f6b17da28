// Wrong command lines: exit code 2, one line that says what was found and what was expected, and nothing on standard
// output. No model is opened: the named one does not exist.
#include <catch2/catch.hpp>

#include "app/command_line.h"
#include "app/options.h"
#include "tests/app/program.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;

namespace usage_test {
namespace {

void check_refused(std::vector<std::string> args, const std::string& expected_in_line) {
  CAPTURE(args);
  const Outcome outcome = run_program(args);
  CHECK(outcome.exit_code == 2);
  CHECK(outcome.out.empty());
  CHECK(outcome.n_err_lines() == 1);
  CHECK_THAT(outcome.err, Contains(expected_in_line));
}

CacheConfig parse_cache(const std::vector<std::string>& args) {
  CacheOptions options;
  CommandLine line("run", "", "");
  options.add_to(line);
  line.parse(args);
  return options.make_config();
}

}  // namespace

TEST_CASE("an unknown command names the nearest") {
  check_refused({"inspct"}, "unknown command 'inspct'; the nearest is inspect");
  check_refused({"tokenise"}, "the nearest is tokenize");
  check_refused({"device"}, "the nearest is devices");
  check_refused({"qqqqqqqq"}, "headroom --help");
  check_refused({"pull"}, "unknown command");
}

TEST_CASE("replay says what it needs") {
  check_refused({"replay"}, "replay needs a trace");
  check_refused({"replay", "a.hrtrace", "--size", "10x10"}, "need --png FILE");
  check_refused({"replay", "a.hrtrace", "--png", "a.png", "--size", "1280"}, "expected WxH");
  check_refused({"replay", "a.hrtrace", "--png", "a.png", "--size", "9x9"}, "--size");
  check_refused({"replay", "a.hrtrace", "--png", "a.png", "--theme", "blue"}, "expected one of dark, light");
  check_refused({"replay", "a.hrtrace", "--png", "a.png", "--layer", "1"}, "--layer and --kv-head go together");
}

TEST_CASE("an unknown option names the nearest of the command") {
  check_refused({"run", "--tempp", "0"}, "unknown option --tempp; the nearest is --temp");
  check_refused({"run", "--temperature", "0"}, "the nearest is --temp");
  check_refused({"run", "--theads", "2"}, "the nearest is --threads");
  check_refused({"run", "--treshold=0.9"}, "unknown option --treshold; the nearest is --threshold");
  check_refused({"run", "--policyset", "special"}, "the nearest is --policy-set");
  check_refused({"bench", "--rep", "2"}, "the nearest is --reps");
  check_refused({"tokenize", "--nobos"}, "the nearest is --no-bos");
  check_refused({"--jsn"}, "the nearest is --json");
  check_refused({"run", "--qqqqqqqqqq"}, "run --help");
  check_refused({"run", "-Z"}, "unknown option -Z");
  check_refused({"tokenize", "--temp", "0"}, "unknown option --temp");
}

TEST_CASE("what belongs to no option is refused") {
  check_refused({"run", "hello"}, "unexpected argument 'hello'");
  check_refused({"inspect", "a.gguf", "b.gguf"}, "unexpected argument 'b.gguf'");
  check_refused({"run", "-p"}, "-p");
}

TEST_CASE("numbers are taken whole and within their range, or not at all") {
  check_refused({"run", "-n", "12x"}, "-n is '12x', expected a whole number from -1 to ");
  check_refused({"run", "-n", "-5"}, "-n is '-5'");
  check_refused({"run", "-n", ""}, "-n is ''");
  check_refused({"run", "-n", "0x10"}, "-n is '0x10'");
  check_refused({"run", "-n", "1.5"}, "-n is '1.5'");
  check_refused({"run", "-n", "99999999999999999999"}, "expected a whole number");
  check_refused({"run", "-t", "0"}, "-t is '0'");
  check_refused({"run", "-c", "-1"}, "-c is '-1'");
  check_refused({"run", "--threshold", "nan"}, "--threshold is 'nan', expected a number from 0 to 2");
  check_refused({"run", "--threshold", "-0.1"}, "--threshold is '-0.1'");
  check_refused({"run", "--threshold", "inf"}, "--threshold is 'inf'");
  check_refused({"run", "--r-local", "1.01"}, "--r-local is '1.01', expected a number from 0 to 1");
  check_refused({"run", "--temp", "warm"}, "--temp is 'warm'");
  check_refused({"run", "--temp", "0,7"}, "--temp is '0,7'");
  check_refused({"run", "--top-p", "1e9"}, "--top-p is '1e9'");
  check_refused({"run", "--top-p", "0"}, "--top-p is '0', expected a number above 0, at most 1");
  check_refused({"chat", "--top-p", "-0.0"}, "--top-p is '-0.0'");
  check_refused({"run", "--repeat-penalty", "0"}, "--repeat-penalty is '0'");
  check_refused({"run", "-s", "-1"}, "-s is '-1'");
  check_refused({"bench", "--depth", "0,,4"}, "--depth is ''");
  check_refused({"bench", "--reps", "0"}, "--reps is '0'");
}

TEST_CASE("names of what there is are checked before a model is opened") {
  const std::string model = "-m/nowhere.gguf";
  for (const char* command : {"run", "chat", "profile", "bench", "calibrate", "devices", "tokenize", "inspect"})
    check_refused({command, model, "--backend", "abacus"}, "--backend is 'abacus', expected one of cuda, vulkan, cpu");
  check_refused({"eval", model, "-p", "a", "--backend", ""}, "--backend is ''");
  check_refused({"replay", "a.hrtrace", "--png", "a.png", "--panel", "kitchen"}, "--panel is 'kitchen'");
}

TEST_CASE("of an option that is given twice the last one counts") {
  std::optional<std::string> text;
  std::optional<int64_t> number;
  std::vector<std::string> files;
  bool flag = false;
  CommandLine line("run", "", "");
  line.add_text("-p,--prompt", "TEXT", "", text);
  line.add_int("-t,--threads", "", 1, 8, number);
  line.add_repeated_text("-f,--file", "FILE", "", files);
  line.add_flag("--raw", "", flag);
  line.parse({"-p", "a", "--threads", "9", "--raw", "-f", "x", "--prompt", "b", "-t", "3", "--raw", "-f", "y"});
  CHECK(text == "b");
  CHECK(number == 3);
  CHECK(flag);
  CHECK(files == std::vector<std::string>{"x", "y"});
  check_refused({"run", "-t", "2", "-t", "0"}, "-t is '0'");
}

TEST_CASE("with --json an error is an object of JSON on standard output, and the sentence on the other") {
  const auto check_json_error = [](const std::vector<std::string>& args, int exit_code, const std::string& expected) {
    CAPTURE(args);
    const Outcome outcome = run_program(args);
    CHECK(outcome.exit_code == exit_code);
    CHECK(outcome.n_err_lines() == 1);
    CHECK_THAT(outcome.err, Contains(expected));
    REQUIRE(std::count(outcome.out.begin(), outcome.out.end(), '\n') == 1);
    const nlohmann::json object = outcome.json();
    CHECK(object.size() == 1);
    CHECK_THAT(object["error"].get<std::string>(), Contains(expected));
  };
  check_json_error({"inspect", "/nowhere.gguf", "--json"}, 1, "/nowhere.gguf");
  check_json_error({"run", "--json", "-m", "/nowhere.gguf", "-p", "a"}, 1, "/nowhere.gguf");
  check_json_error({"run", "--json"}, 2, "--json needs one prompt");
  check_json_error({"run", "--tempp", "1", "--json"}, 2, "the nearest is --temp");
  check_json_error({"run", "--json", "-n", "x"}, 2, "-n is 'x'");
  check_json_error({"run", "--json", "-p"}, 2, "--prompt");
  check_json_error({"eval", "--json"}, 2, "eval needs something to measure");
  check_json_error({"eval", "merge", "/nowhere.json", "--json"}, 1, "/nowhere.json");
  check_json_error({"inspct", "--json"}, 2, "the nearest is inspect");
  // "--json" as the value of another option is not the option --json.
  const Outcome prompt = run_program({"run", "-m", "/nowhere.gguf", "-p", "--json"});
  CHECK(prompt.exit_code == 1);
  CHECK(prompt.out.empty());
}

TEST_CASE("options that contradict each other are refused") {
  const std::string model = "-m/nowhere.gguf";
  check_refused({"run", model, "-p", "a", "-f", "b"}, "-p and -f");
  check_refused({"run", model, "-p", "a", "--raw", "--system", "b"}, "--system");
  check_refused({"run", model, "-p", "a", "--raw", "-sys", "b"}, "--system");
  check_refused({"run", model, "-p", "a", "--special"}, "--special needs --raw");
  check_refused({"profile", model, "-p", "a", "--special"}, "--special needs --raw");
  check_refused({"run", model, "--raw"}, "--raw needs a prompt");
  check_refused({"profile", model}, "profile needs a prompt");
  check_refused({"inspect", "a.gguf", "-m", "b.gguf"}, "FILE and -m");
  check_refused({"bench", model, "-p", "0", "-n", "0"}, "both 0");
  check_refused({"run", model, "-p", "a", "--stop", ""}, "--stop is empty");
}

TEST_CASE("options of what a head keeps that contradict each other are refused") {
  for (const std::vector<std::string>& other : std::vector<std::vector<std::string>>{{"--config", "h2o"},
                                                                                     {"--policy-set", "special,full"},
                                                                                     {"--threshold", "0.9"},
                                                                                     {"--r-local", "0.1"},
                                                                                     {"--r-frequent", "0.1"},
                                                                                     {"--group", "mean"},
                                                                                     {"--keep", "0.5"}}) {
    std::vector<std::string> args{"run", "-p", "a", "--cache", "full"};
    args.insert(args.end(), other.begin(), other.end());
    check_refused(args, "--cache full keeps every token");
  }
  check_refused({"run", "--cache", "fastgen", "--config", "full"}, "contradicts");
  check_refused({"run", "--config", "full", "--threshold", "0.9"}, "--config full keeps every token");
  check_refused({"run", "--config", "h2o", "--policy-set", "special,full"}, "--config and --policy-set");
  check_refused({"run", "--keep", "0.5", "--threshold", "0.9"}, "--keep finds the threshold that --threshold sets");
  check_refused({"run", "--policy-set", "special", "--keep", "0.5"}, "--keep has no share to set in special");
  check_refused({"run", "--config", "h2o", "--keep", "0.5", "--r-local", "0.2"}, "--keep sets the shares");
  check_refused({"run", "--cache", "half"}, "--cache is 'half', expected full or fastgen");
  check_refused({"run", "--group", "max"}, "--group is 'max', expected min or mean");
  check_refused({"run", "--config", "h20"}, "unknown configuration 'h20'; the nearest is h2o");
  check_refused({"run", "--policy-set", "special,pnct"}, "names 'pnct'");
  check_refused({"run", "--policy-set", ""}, "names ''");
  check_refused({"run", "--policy-set", "special,"}, "names ''");
  check_refused({"run", "--policy-set", "special+punct,punct+special"}, "special+punct twice");
  check_refused({"bench", "--cache", "full", "--threshold", "0.9"}, "--cache full");
}

TEST_CASE("configurations by name, by set, and by share") {
  CHECK(parse_cache({}).name == "paper");
  CHECK(parse_cache({}).policy_set.size() == 5);
  CHECK(parse_cache({"--cache", "full"}).policy_set == std::vector<Policy>{Policy{Policy::full}});
  CHECK(parse_cache({"--config", "full"}).name == "full");

  const CacheConfig custom = parse_cache({"--policy-set", "local+special,full", "--threshold", "1.01", "--r-local",
                                          "0.1", "--r-frequent", "0.2", "--group", "mean"});
  CHECK(custom.name == "custom");
  CHECK(custom.policy_set == std::vector<Policy>{Policy{Policy::special | Policy::local}, Policy{Policy::full}});
  CHECK(custom.threshold == 1.01);
  CHECK(custom.r_local == 0.1);
  CHECK(custom.r_frequent == 0.2);
  CHECK(custom.group == GroupReduce::mean);

  CHECK(parse_cache({"--config", "local", "--keep", "0.4"}).r_local == 0.4);
  CHECK(parse_cache({"--config", "streaming", "--keep", "0.4"}).r_local == 0.4);
  CHECK(parse_cache({"--config", "h2o", "--keep", "0.4"}).r_local == 0.2);
  CHECK(parse_cache({"--config", "h2o", "--keep", "0.4"}).r_frequent == 0.2);
}

TEST_CASE("texts are taken as they are, whatever they look like") {
  for (const std::string text : {"", "[a,b]", "{}", "%%", "-5", "--json", "a,b", "\"quoted\"", " ", "-"}) {
    CAPTURE(text);
    std::optional<std::string> prompt;
    std::vector<std::string> stops;
    CommandLine line("run", "", "");
    line.add_text("-p,--prompt", "TEXT", "", prompt);
    line.add_repeated_text("--stop", "TEXT", "", stops);
    line.parse({"-p", text, "--stop", text, "--stop", "x"});
    CHECK(prompt == text);
    CHECK(stops == std::vector<std::string>{text, "x"});
  }
}

TEST_CASE("a repeated option takes one value each time") {
  std::vector<std::string> stops;
  CommandLine line("run", "", "");
  line.add_repeated_text("--stop", "TEXT", "", stops);
  CHECK_THROWS_AS(line.parse({"--stop", "a", "b"}), UsageError);
}

TEST_CASE("help and version go to standard output and need no model") {
  const Outcome version = run_program({"--version"});
  CHECK(version.exit_code == 0);
  CHECK_THAT(version.out, Catch::Matchers::Matches("headroom [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  CHECK_THAT(run_program({"--help"}).out, Contains("Commands:") && Contains("tokenize"));
  for (const char* command : {"chat", "run", "profile", "tokenize", "bench", "inspect", "devices"}) {
    const Outcome help = run_program({command, "--help"});
    CAPTURE(command);
    CHECK(help.exit_code == 0);
    CHECK(help.err.empty());
    CHECK_THAT(help.out, Contains("Examples:") && Contains("--model"));
  }
}

}  // namespace usage_test
