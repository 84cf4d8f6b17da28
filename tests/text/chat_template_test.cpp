// The template interpreter on cases computed by hand: the variables that transformers passes, error messages,
// unsupported features. chat_template_models_test.cpp covers more templates, with Jinja2 as oracle.
#include "engine/text/chat_template.h"

#include <catch2/catch.hpp>
#include <ctime>

#include "engine/base/error.h"

namespace headroom::chat_template_test {
namespace {

const std::vector<Message> conversation = {{"system", "Be brief."}, {"user", "Hi"}, {"assistant", "Hello"}};

TemplateInput make_input() {
  TemplateInput input;
  input.messages = conversation;
  input.bos_token = "<s>";
  input.eos_token = "</s>";
  input.date = "26 Jul 2024";
  return input;
}

std::string render(const std::string& source, const TemplateInput& input = make_input()) {
  std::string text;
  for (const TextSpan& span : ChatTemplate(source).render(input)) text += span.text;
  return text;
}

struct Failure {
  ErrorKind kind;
  std::string sentence;
};

Failure failure_of(const std::string& source) {
  try {
    const std::string text = render(source);
    FAIL("expected an error, found the text '" << text << "'");
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  return {};
}

}  // namespace

TEST_CASE("a chat template sees the messages, the tokens and the generation flag") {
  const std::string chatml =
      "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>\n{{ message['content'] }}{{ eos_token }}\n"
      "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";
  CHECK(render(chatml) == "<s><|system|>\nBe brief.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello</s>\n<|assistant|>");
  TemplateInput input = make_input();
  input.add_generation_prompt = false;
  input.messages.resize(1);
  CHECK(render(chatml, input) == "<s><|system|>\nBe brief.</s>\n");
  input.messages.clear();
  CHECK(render(chatml, input) == "<s>");
}

TEST_CASE("tools and documents are none, as transformers passes them") {
  CHECK(render("{{ tools is defined }} {{ tools }} {{ documents is none }}") == "True None True");
}

TEST_CASE("tags take the white space that Jinja takes with trim_blocks and lstrip_blocks") {
  CHECK(render("a\n  {% if true %}\nb\n  {% endif %}\nc\n") == "a\nb\nc");
  CHECK(render("a  {{- 1 -}}  b") == "a1b");
  CHECK(render("a\n  {%+ if true +%}\nb{% endif %}") == "a\n  \nb");
  CHECK(render("x\n{# note #}\ny") == "x\ny");
  CHECK(render("  {{ 1 }}\n\n") == "  1\n");
}

TEST_CASE("strings count characters, not bytes") {
  CHECK(render("{{ 'żółw'|length }} {{ 'żółw'[1:3] }} {{ 'żółw'[::-1] }} {{ '世界'.find('界') }}") == "4 ół włóż 1");
}

TEST_CASE("a content that is not UTF-8 goes through byte for byte") {
  TemplateInput input = make_input();
  input.messages = {{"user", "a\xff\xfe b\xe4\xb8"}};
  const std::string content = input.messages[0].content;
  CHECK(render("{{ messages[0].content }}", input) == content);
  CHECK(render("{{ messages[0].content|trim|upper|lower }}", input) == content);
  CHECK(render("{{ messages[0].content[1:3] }}{{ messages[0].content|length }}", input) ==
        "\xff\xfe"
        "7");
  input.messages[0].content = std::string("nul\0byte", 8);
  CHECK(render("{{ messages[0].content }}", input) == input.messages[0].content);
}

TEST_CASE("integers are exact and never overflow silently") {
  CHECK(render("{{ 9223372036854775807 }} {{ -9223372036854775807 - 1 }}") ==
        "9223372036854775807 -9223372036854775808");
  CHECK(render("{{ (-9223372036854775807 - 1) % -1 }} {{ 3037000499 * 3037000499 }}") == "0 9223372030926249001");
  for (const char* expression :
       {"9223372036854775807 + 1", "-9223372036854775807 - 2", "3037000500 * 3037000500", "2 ** 63",
        "(-9223372036854775807 - 1) // -1", "-(-9223372036854775807 - 1)", "(-9223372036854775807 - 1)|abs",
        "9223372036854775808", "'9223372036854775808'|int", "1e30|int"}) {
    INFO(expression);
    CHECK(failure_of(std::string("{{ ") + expression + " }}").kind == ErrorKind::bad_input);
  }
}

TEST_CASE("strftime_now tells the date that the caller gives, or today") {
  CHECK(render("{{ strftime_now('%d %b %Y|%A|%j|%-d') }}") == "26 Jul 2024|Friday|208|26");
  TemplateInput input = make_input();
  input.date = "1 Feb 2000";
  CHECK(render("{{ strftime_now('%d.%m.%y %a') }}", input) == "01.02.00 Tue");
  input.date = "";
  const std::time_t now = std::time(nullptr);
  const std::string year = render("{{ strftime_now('%Y') }}", input);
  CHECK(std::abs(std::stoi(year) - (1970 + static_cast<int>(now / 31'556'952))) <= 1);
  for (const char* date : {"30 Feb 2000", "1 Foo 2000", "2000-01-01", "1 Jan 2000x"}) {
    input.date = date;
    CHECK_THROWS_WITH(render("{{ strftime_now('%Y') }}", input), Catch::Contains(date));
  }
}

TEST_CASE("an error is one sentence with the line, what was found and what was expected") {
  CHECK(failure_of("a\n{{ 1 + }}").sentence == "chat template, line 2: found '}}', expected an expression");
  CHECK(failure_of("{% if 1 %}\n\nx").sentence ==
        "chat template, line 3: found the end of the template, expected '{% endif %}'");
  CHECK(failure_of("\n\n{{ nothing.here }}").sentence == "chat template, line 3: 'nothing' is undefined");
  CHECK(failure_of("{{ 1 }}\n{{ raise_exception('Roles must alternate') }}").sentence ==
        "chat template, line 2: the template says: Roles must alternate");
  CHECK(failure_of("{{ 1 < 'a' }}").sentence == "chat template, line 1: values of type int and str cannot be ordered");
  CHECK(failure_of("{% set a, b = [1] %}").sentence == "chat template, line 1: found 1 values to unpack, expected 2");
}

TEST_CASE("an error stays one line of bounded length, whatever a template puts into it") {
  CHECK(failure_of("{{ raise_exception('a\\nb\\x00c') }}").sentence ==
        "chat template, line 1: the template says: a b c");
  CHECK(failure_of("{{ raise_exception('é' * 100000) }}").sentence.size() < 560);
  CHECK(failure_of("{{ range(**{'a\\nb': 1}) }}").sentence == "chat template, line 1: 'range' has no parameter 'a b'");
  CHECK(failure_of("{% " + std::string(100'000, 'x') + " %}").sentence.size() < 560);
}

TEST_CASE("what is not offered is named, with its line, as unsupported") {
  const std::pair<const char*, const char*> cases[] = {
      {"\n{% include 'x' %}", "line 2: the statement 'include' is not supported"},
      {"{% extends 'x' %}", "'extends'"},
      {"{% block a %}{% endblock %}", "'block'"},
      {"{% import 'x' as y %}", "'import'"},
      {"{% do 1 %}", "'do'"},
      {"\n\n{{ 1|xmlattr }}", "line 3: the filter 'xmlattr' is not supported"},
      {"{{ 1 is prime }}", "the test 'prime' is not supported"},
      {"{{ 'a'.encode() }}", "the string method 'encode' is not supported"},
      {"{{ strftime_now('%Q') }}", "the date format '%Q' is not supported"},
      {"{{ '{0.a}'.format(1) }}", "the format field '0.a' is not supported"},
      {"{{ '%c' % 65 }}", "the format type 'c' is not supported"},
  };
  for (const auto& [source, sentence] : cases) {
    INFO(source);
    const Failure failure = failure_of(source);
    CHECK(failure.kind == ErrorKind::unsupported);
    CHECK_THAT(failure.sentence, Catch::Contains(sentence));
  }
}

TEST_CASE("a filter that is not offered does no harm where it is not reached") {
  CHECK(render("{% if tools %}{{ tools|from_json }}{% endif %}ok") == "ok");
}

TEST_CASE("lists and dicts cannot be changed, as in transformers' sandbox") {
  CHECK_THAT(failure_of("{% set x = [1] %}{{ x.append(2) }}").sentence, Catch::Contains("may not change a list"));
  CHECK_THAT(failure_of("{{ messages[0].pop('role') }}").sentence, Catch::Contains("may not change a dict"));
}

TEST_CASE("a parsed template renders again and again, and can be moved") {
  ChatTemplate first(
      "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}");
  CHECK(first.render(make_input()).at(0).text == "3");
  const ChatTemplate second = std::move(first);
  CHECK(second.render(make_input()).at(0).text == "3");
  CHECK(second.render({}).at(0).text == "0");
}

}  // namespace headroom::chat_template_test
