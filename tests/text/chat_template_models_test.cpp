// The template interpreter against Jinja2: chat templates of real models, and small templates of one feature each, must
// give the same text or be refused by both. tests/data/templates/make_expected.py makes the expected texts.
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/error.h"
#include "engine/text/chat_template.h"

namespace headroom::chat_template_models_test {
namespace {

using nlohmann::json;

const std::string folder = std::string(HEADROOM_TEST_DATA) + "/templates/";

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  std::stringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

std::vector<Message> to_messages(const json& list) {
  std::vector<Message> messages;
  for (const json& message : list) messages.push_back({message["role"], message["content"]});
  return messages;
}

struct Outcome {
  bool refused = false;
  std::string text;  // or the error's sentence
  std::vector<TextSpan> spans;
};

Outcome render(const std::string& source, const TemplateInput& input) {
  try {
    Outcome outcome;
    outcome.spans = ChatTemplate(source).render(input);
    for (const TextSpan& span : outcome.spans) outcome.text += span.text;
    return outcome;
  } catch (const Error& error) {
    return {true, error.what(), {}};
  }
}

TemplateInput make_input(const json& common, const json& messages, bool add_generation_prompt) {
  TemplateInput input;
  input.messages = to_messages(messages);
  input.bos_token = common["bos_token"];
  input.eos_token = common["eos_token"];
  input.date = common["date"];
  input.add_generation_prompt = add_generation_prompt;
  return input;
}

void check(const json& expected, const Outcome& outcome) {
  if (expected.contains("raises")) {
    CHECK(outcome.refused);
  } else {
    CHECK_FALSE(outcome.refused);
    CHECK(outcome.text == expected["output"].get<std::string>());
  }
}

}  // namespace

TEST_CASE("chat templates of real models give Jinja2's text") {
  const json expected = json::parse(read_file(folder + "expected.json"));
  CHECK(expected["templates"].size() >= 20);
  for (const auto& [name, cases] : expected["templates"].items()) {
    const std::string source = read_file(folder + name);
    for (const json& one : cases) {
      const std::string conversation = one["conversation"];
      const bool prompt = one["add_generation_prompt"];
      INFO(name << ", " << conversation << ", add_generation_prompt " << prompt);
      check(one, render(source, make_input(expected, expected["conversations"][conversation], prompt)));
    }
  }
}

TEST_CASE("every template feature gives Jinja2's text") {
  const json expected = json::parse(read_file(folder + "snippets.json"));
  for (const json& one : expected["snippets"]) {
    INFO(one["source"].get<std::string>());
    check(one, render(one["source"], make_input(expected, expected["messages"], true)));
  }
}

TEST_CASE("the default limits leave room for long conversations with real templates") {
  const json expected = json::parse(read_file(folder + "expected.json"));
  TemplateInput input = make_input(expected, json::array(), true);
  for (int i = 0; i < 51; ++i) {
    std::string content = "Message " + std::to_string(i) + ": ";
    for (int line = 0; line < 100; ++line) content += "some words of a longer text, as people write them\n";
    input.messages.push_back({i % 2 == 0 ? "user" : "assistant", content});
  }
  for (const auto& [name, cases] : expected["templates"].items()) {
    const bool refuses_all =
        std::all_of(cases.begin(), cases.end(), [](const json& c) { return c.contains("raises"); });
    if (refuses_all) continue;
    INFO(name);
    const Outcome outcome = render(read_file(folder + name), input);
    INFO(outcome.text.substr(0, 200));
    CHECK_FALSE(outcome.refused);
    CHECK(outcome.text.find("Message 50: ") != std::string::npos);
  }
}

TEST_CASE("a thousand messages pass, also where each is looked at for every other one") {
  const json expected = json::parse(read_file(folder + "expected.json"));
  TemplateInput input = make_input(expected, json::array(), true);
  for (int i = 0; i < 1001; ++i) {
    input.messages.push_back({i % 2 == 0 ? "user" : "assistant", "Message " + std::to_string(i) + ": some words"});
  }
  TemplateLimits own_limits;
#ifdef HEADROOM_ADDRESS_SANITIZER
  own_limits.max_seconds *= 30;  // so that the other limits are reached first
#endif
  const auto check_passes = [&](const std::string& source) {
    TemplateUse use;
    const std::vector<TextSpan> spans = ChatTemplate(source, own_limits).render(input, {}, &use);
    CHECK(spans.size() > 1000);
    const TemplateLimits limits = limits_for(input, {});
    INFO(use.steps << " steps, " << (use.work >> 20) << " MiB of work, " << (use.memory_bytes >> 20) << " MiB");
    CHECK(use.steps < limits.max_steps / 2);
    CHECK(use.work < limits.max_work / 2);
    CHECK(use.memory_bytes < limits.max_memory_bytes / 2);
  };
  for (const auto& [name, cases] : expected["templates"].items()) {
    const bool refuses_all =
        std::all_of(cases.begin(), cases.end(), [](const json& c) { return c.contains("raises"); });
    if (refuses_all) continue;
    INFO(name);
    check_passes(read_file(folder + name));
  }
  check_passes(
      "{% for m in messages %}{% set ns = namespace(last=0) %}{% for o in messages[loop.index0:] %}"
      "{% if o.role == 'user' and o.tool_calls is not defined %}{% set ns.last = loop.index %}{% endif %}{% endfor %}"
      "{{ m.role }}{{ ns.last }}{{ m.content }}{% endfor %}");
}

}  // namespace headroom::chat_template_models_test
