// --chat-template, a template's name in a model file, unusable templates, and what inspect prints about each.
#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "engine/model/gguf.h"
#include "tests/app/program.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace template_option_test {
namespace {

/// A temporary file that lives as long as the object.
struct TestFile {
  std::string path;

  TestFile(const std::string& name, const std::string& text) : path(temporary_path(name)) {
    std::ofstream(path, std::ios::binary) << text;
  }
  explicit TestFile(const GgufWriter& writer) : path(temporary_path("template.gguf")) { writer.write(path); }
  ~TestFile() { std::remove(path.c_str()); }
  TestFile(const TestFile&) = delete;
};

GgufWriter model_with_template(const std::string& chat_template) {
  GgufWriter writer = make_tiny_model(Architecture::llama);
  writer.set("tokenizer.chat_template", chat_template);
  return writer;
}

std::vector<std::string> profile_args(const std::string& model, const std::vector<std::string>& more = {}) {
  std::vector<std::string> args{"profile", "-m", model, "--backend", "cpu", "-t", "1", "-p", "Hi the", "--json"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

json n_tokens(const std::string& model, const std::vector<std::string>& more = {}) {
  const Outcome outcome = run_program(profile_args(model, more));
  CAPTURE(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  return outcome.json()["n_tokens"];
}

const std::string one_line_template = "{% for m in messages %}{{ '<|im_start|>' + m.content }}{% endfor %}";

}  // namespace

TEST_CASE("a template by its name, from a file, or named in the model file gives the same prompt as the model's own") {
  const json expected = n_tokens(tiny_model_path());
  CHECK(n_tokens(tiny_base_model_path(), {"--chat-template", "chatml"}) == expected);
  CHECK(n_tokens(tiny_model_path(), {"--chat-template", "chatml"}) == expected);
  const TestFile named(model_with_template("chatml"));
  CHECK(n_tokens(named.path) == expected);
  CHECK(n_tokens(tiny_model_path(), {"--chat-template", "alpaca"}) != expected);

  const TestFile file("mine.jinja", one_line_template);
  CHECK(n_tokens(tiny_model_path(), {"--chat-template", file.path}) ==
        n_tokens(tiny_model_path(), {"--raw", "--special", "-p", "<|im_start|>Hi the"}));
}

TEST_CASE("every command that sends messages takes a template") {
  const std::string& model = tiny_base_model_path();
  const std::vector<std::string> more{"-m", model, "--backend", "cpu", "-t", "1", "--chat-template", "chatml"};
  const auto run = [&](std::vector<std::string> args, const std::string& input = "") {
    args.insert(args.end(), more.begin(), more.end());
    const Outcome outcome = run_program(args, input);
    CAPTURE(args, outcome.err);
    CHECK(outcome.exit_code == 0);
    CHECK_THAT(outcome.err, !Contains("no chat template"));
  };
  run({"run", "-p", "Hello", "-n", "1"});
  run({"run", "-n", "1"}, "Hello\n");
  run({"chat", "--terminal", "-n", "1"}, "Hello\n");
  run({"eval", "-p", "Hello you", "-n", "2", "--config", "streaming"});
}

TEST_CASE("a template that is no name and no file is refused with the names") {
  const auto refusal = [](const std::string& text, const std::string& command = "run") {
    const Outcome outcome = run_program({command, "-m", "/nowhere.gguf", "-p", "a", "--chat-template", text});
    CHECK(outcome.exit_code == 2);
    CHECK(outcome.n_err_lines() == 1);
    return outcome.err;
  };
  CHECK_THAT(refusal("chatlm"), Contains("--chat-template is 'chatlm'") && Contains("the nearest is chatml") &&
                                    Contains("the names are chatml, llama2, "));
  CHECK_THAT(refusal("/nowhere.jinja"), Contains("the names are chatml"));
  CHECK_THAT(refusal(""), Contains("the names are chatml"));
  CHECK_THAT(refusal("qqqq", "profile"), Contains("the names are chatml"));
  CHECK_THAT(refusal("qqqq", "eval"), Contains("the names are chatml"));
  CHECK(run_program({"run", "-p", "a", "--raw", "--chat-template", "chatml"}).exit_code == 2);
}

TEST_CASE("a template's file that cannot be used is refused before a model is opened") {
  const auto refusal = [](const std::string& path) {
    const Outcome outcome = run_program({"run", "-m", "/nowhere.gguf", "-p", "a", "--chat-template", path});
    CHECK(outcome.exit_code == 1);
    CHECK(outcome.n_err_lines() == 1);
    CHECK_THAT(outcome.err, Contains(path));
    return outcome.err;
  };
  const TestFile broken("broken.jinja", "{% for m in messages %}"), empty("empty.jinja", " \n");
  CHECK_THAT(refusal(broken.path), Contains("cannot be used"));
  CHECK_THAT(refusal(empty.path), Contains("is empty"));
  CHECK_THAT(refusal("/tmp"), Contains("is a folder"));
  CHECK_THAT(refusal("/dev/zero"), Contains("more than 262144 bytes"));
  const TestFile large("large.jinja", std::string((size_t{256} << 10) + 1, 'x'));
  CHECK_THAT(refusal(large.path), Contains("more than 262144 bytes"));
}

TEST_CASE("a base model is called so only where nothing in its vocabulary speaks against it") {
  const Outcome chat_tokens = run_program({"run", "-m", tiny_base_model_path(), "-p", "Once", "-n", "1"});
  CHECK(chat_tokens.exit_code == 0);
  CHECK_THAT(chat_tokens.err, Contains("no chat template, although its vocabulary has <|im_start|>") &&
                                  Contains("--chat-template chatml") && !Contains("base model"));
  TinyModelOptions options = tiny_model_options(Architecture::llama);
  options.chat_template = false;
  GgufWriter writer = make_tiny_model(options);
  std::vector<std::string> tokens =
      *GgufFile::from_bytes(writer.bytes(), "tiny.gguf").get_strings("tokenizer.ggml.tokens");
  for (std::string& token : tokens)
    if (token.starts_with("<|im_")) token = "<reserved" + token.substr(4);
  writer.set("tokenizer.ggml.tokens", tokens);
  const TestFile plain(writer);
  CHECK_THAT(run_program({"run", "-m", plain.path, "-p", "Once", "-n", "1"}).err, Contains("(a base model)"));
  CHECK_THAT(run_program({"run", "-m", plain.path, "-p", "Once", "-n", "1", "--chat-template", "chatml"}).err,
             Contains("chatml writes <|im_start|>, which this vocabulary has no token for"));
}

TEST_CASE("messages are refused where the file's own template cannot be used, and another one helps") {
  const TestFile model(model_with_template("{% for m in messages %}{{ m.content }"));
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"run", "-p", "Hello", "-n", "1"}, {"profile", "-p", "Hello"}, {"run"}}) {
    std::vector<std::string> all = args;
    all.insert(all.end(), {"-m", model.path, "--backend", "cpu"});
    const Outcome outcome = run_program(all, "Hello\n");
    CAPTURE(args, outcome.err);
    CHECK(outcome.exit_code == 1);
    CHECK(outcome.out.empty());
    CHECK(outcome.n_err_lines() == 1);
    CHECK_THAT(outcome.err, Contains("the model's chat template cannot be used") && Contains("--chat-template"));
  }
  CHECK(run_program({"run", "-m", model.path, "--raw", "-p", "Hello", "-n", "1"}).exit_code == 0);
  CHECK(n_tokens(model.path, {"--chat-template", "chatml"}) == n_tokens(tiny_model_path()));
}

TEST_CASE("inspect says what template there is") {
  const auto inspect = [](const std::string& model) {
    const Outcome text = run_program({"inspect", model});
    const Outcome as_json = run_program({"inspect", model, "--json"});
    REQUIRE(as_json.exit_code == 0);
    return std::pair(text.out, as_json.json()["chat_template"]);
  };
  const auto [own_text, own] = inspect(tiny_model_path());
  CHECK_THAT(own_text, Contains("chat template: ") && Contains("writes what chatml writes") &&
                           Contains("begins with \"{% for message in messages %}"));
  CHECK(own["state"] == "usable");
  CHECK(own["name"] == "chatml");

  const auto [missing_text, missing] = inspect(tiny_base_model_path());
  CHECK_THAT(missing_text, Contains("chat template: missing, although the vocabulary has <|im_start|>") &&
                               Contains("--chat-template chatml makes it a chat"));
  CHECK(missing["state"] == "missing");
  CHECK(missing["scaffold"] == "<|im_start|>");
  CHECK(missing["suggested"] == "chatml");

  const TestFile named(model_with_template("chatml"));
  const auto [named_text, by_name] = inspect(named.path);
  CHECK_THAT(named_text, Contains("chat template: the name chatml alone"));
  CHECK(by_name["state"] == "named");

  const TestFile broken(model_with_template("{% bad \x1b[2J\n"));
  const auto [broken_text, refused] = inspect(broken.path);
  CHECK_THAT(broken_text, Contains("chat template: cannot be used, so messages are refused: ") &&
                              Contains("would it run here: yes, but not as a chat without --chat-template"));
  CHECK(broken_text.find('\x1b') == std::string::npos);
  CHECK(refused["state"] == "refused");
  CHECK(!refused["reason"].get<std::string>().empty());
}

}  // namespace template_option_test
