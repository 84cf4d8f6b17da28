// Hostile templates: each is stopped by a limit, with one sentence, quickly and in little memory.
#include <catch2/catch.hpp>
#include <ctime>

#include "engine/base/error.h"
#include "engine/text/chat_template.h"
#include "tests/support/effort.h"

namespace headroom::chat_template_limits_test {
namespace {

std::string repeated(const std::string& text, size_t n) {
  std::string result;
  for (size_t i = 0; i < n; ++i) result += text;
  return result;
}

struct Outcome {
  std::string sentence;  // empty: not refused
  std::string text;
  double seconds = 0;
};

Outcome run(const std::string& source, const std::vector<Message>& messages = {{"user", "hello"}},
            TemplateLimits limits = {}) {
  Outcome outcome;
#ifdef HEADROOM_ADDRESS_SANITIZER
  limits.max_seconds *= 30;  // so that the other limits are reached first
#endif
  const std::clock_t start = std::clock();  // CPU time, so that other programs do not count
  try {
    TemplateInput input;
    input.messages = messages;
    for (const TextSpan& span : ChatTemplate(source, limits).render(input)) outcome.text += span.text;
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::bad_input);
    outcome.sentence = error.what();
  }
  outcome.seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  return outcome;
}

// A release build needs under one second for each. The sanitizers check every access to a character or an element, and
// take up to 14 seconds on slow processors.
constexpr double max_seconds = test::has_address_sanitizer ? 60 : 5;

void check_stopped(const std::string& source, const std::string& reason) {
  INFO(source.substr(0, 200));
  const Outcome outcome = run(source);
  CHECK_THAT(outcome.sentence, Catch::Contains(reason));
  CHECK(outcome.sentence.size() < 700);
  CHECK(outcome.sentence.find('\n') == std::string::npos);
  CHECK(outcome.seconds < max_seconds);
}

const std::string steps = "after 201025 steps";  // 200,000 and what one message of nine bytes adds
const std::string memory = "took more than 64 MiB";
const std::string work = "after it had processed 256 MiB";
const std::string nested = "nested deeper than 64 levels";

}  // namespace

TEST_CASE("steps: loops within loops, long recursion and wide trees are stopped") {
  check_stopped("{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}", steps);
  check_stopped("{% for a in range(10000) %}{% for b in range(10000) %}{{ a }}{% endfor %}{% endfor %}", steps);
  check_stopped("{% for a in range(10000) %}{% for b in range(100) if false %}{% endfor %}{% endfor %}", steps);
  check_stopped("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}", steps);
  check_stopped("{% for a in range(10000) %}{% set x = range(10000)|map('string')|list %}{% endfor %}", steps);
}

TEST_CASE("ranges of more than 10,000 numbers are refused") {
  CHECK(run("{{ range(10000)|length }}").text == "10000");
  for (const char* range : {"range(10001)", "range(1000000000000)", "range(0, -9223372036854775807, -1)",
                            "range(-9223372036854775807, 9223372036854775807)"}) {
    check_stopped(std::string("{{ ") + range + "|length }}", "a range has more than 10000 numbers");
  }
  CHECK(run("{{ range(-9223372036854775807, 9223372036854775807, 9223372036854775807)|list }}").text ==
        "[-9223372036854775807, 0]");
}

TEST_CASE("output: 8 MiB and no more") {
  CHECK(run("{{ 'a' * 8388608 }}").text.size() == 8388608);
  const std::string grew = "its text grew over 8193 KiB";  // 8192 KiB, and one for the message
  check_stopped("{{ 'a' * 8388608 }}{{ 'b' * 1061 }}", grew);
  check_stopped("{% for i in range(10000) %}{{ 'a' * 1000 }}{% endfor %}", grew);
}

TEST_CASE("memory: strings and lists cannot grow without end") {
  check_stopped("{{ 'a' * 10 ** 9 }}", memory);
  check_stopped("{{ 'a' * 9223372036854775807 }}", memory);
  check_stopped("{{ ([1] * 10 ** 9)|length }}", memory);
  check_stopped("{{ ('' * 10 ** 18)|length }}{{ ([] * 10 ** 18)|length }}{{ 'x' * 10 ** 12 }}", memory);
  const std::string ns = "{% set ns = namespace(x='ab', l=[1]) %}{% for i in range(10000) %}";
  check_stopped(ns + "{% set ns.x = ns.x + ns.x %}{% endfor %}", memory);
  check_stopped(ns + "{% set ns.x = ns.x ~ ns.x %}{% endfor %}", memory);
  check_stopped(ns + "{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}{% endfor %}", memory);
  check_stopped(ns + "{% set ns.x = ns.x|replace('a', 'aa') %}{% endfor %}", "stopped");
  check_stopped(ns + "{% set ns.x = ns.x.join(['1', '2', '3']) %}{% endfor %}", memory);
  check_stopped(ns + "{% set ns.x = [ns.x, ns.x]|tojson %}{% endfor %}", "stopped");
  check_stopped(ns + "{% set ns.x = [ns.x, ns.x]|join %}{% endfor %}", memory);
  check_stopped(ns + "{% set ns.x = '{0}{0}'.format(ns.x) %}{% endfor %}", memory);
  check_stopped(ns + "{% set ns.x = '%s%s' % (ns.x, ns.x) %}{% endfor %}", memory);
  check_stopped(ns + "{% set ns.l = ns.l + ns.l %}{% endfor %}", memory);
  check_stopped("{% set x = ('a' * 8000000)|list %}", "stopped");
  check_stopped("{% set x = ('a,' * 4000000).split(',') %}", memory);
  check_stopped("{% set x = ('a' * 1000000).replace('', 'b' * 1000000) %}", memory);
  check_stopped("{{ [[[1, 2, 3]]]|tojson(indent='x' * 30000000) }}", memory);
  check_stopped("{{ range(10000)|join('a' * 100000) }}", memory);
}

TEST_CASE("memory: a text that shares its parts with itself cannot be written out without end") {
  const std::string doubled =
      "{% set ns = namespace(x=[1]) %}{% for i in range(50) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}";
  check_stopped(doubled + "{{ ns.x }}", "stopped");
  check_stopped(doubled + "{{ ns.x|tojson }}", "stopped");
  // Equal parts that are not the same object.
  check_stopped(
      "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(50) %}{% set ns.x = [ns.x, ns.x] %}"
      "{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
      work);
}

TEST_CASE("work: looking through long texts and lists again and again is stopped") {
  const std::string loop = "{% set x = 'ab' * 2000000 %}{% for i in range(10000) %}";
  check_stopped(loop + "{{ 'c' in x }}{% endfor %}", work);
  check_stopped(loop + "{{ x.find('abc') }}{% endfor %}", work);
  check_stopped(loop + "{{ x.rfind('abc') }}{% endfor %}", work);
  check_stopped(loop + "{{ x.count('abc') }}{% endfor %}", work);
  check_stopped(loop + "{{ x == 'ab' * 2000000 }}{% endfor %}", "stopped");
  check_stopped(
      "{% set x = 'a' * 4000000 %}{% set y = x + 'b' %}{{ y in x }}{{ x.find('a' * 2000000 ~ 'b') }}"
      "{% for i in range(1000) %}{{ ('a' * 1000 ~ 'b') in x }}{% endfor %}",
      "stopped");
  check_stopped("{% set x = 'é' * 2000000 %}{% for i in range(10000) %}{% set y = x[1999999] %}{% endfor %}", work);
  check_stopped("{% for i in range(10000) %}{% set y = range(10000)[5] %}{% endfor %}", "stopped");
  check_stopped("{% for i in range(10000) %}{{ range(10000)|sort|length }}{% endfor %}", "stopped");
  check_stopped("{% set l = range(10000)|list %}{% for i in range(10000) %}{{ -1 in l }}{% endfor %}", work);
  check_stopped("{{ range(10000)|map('string')|unique|list|length }}", work);
  check_stopped(
      "{% set x = [('a' * 1000000).split('aa')] %}{% for i in range(100) %}{{ (x * 100)|sort|length }}{% endfor %}",
      "stopped");
}

TEST_CASE("nesting: brackets, blocks, signs and macros end at depth 64") {
  for (const char* pair : {"()", "[]"}) {
    const std::string open(1, pair[0]);
    const std::string close(1, pair[1]);
    CHECK(run("{{ " + repeated(open, 30) + "1" + repeated(close, 30) + " }}").sentence.empty());
    check_stopped("{{ " + repeated(open, 100'000) + "1" + repeated(close, 100'000) + " }}", nested);
    check_stopped("{{ " + repeated(open, 100'000), "a tag has no end, expected '}}'");
  }
  check_stopped("{{ " + repeated("{1:", 50'000) + "1" + repeated("}", 50'000) + " }}", nested);
  check_stopped("{{ " + repeated("-", 100'000) + "1 }}", nested);
  check_stopped("{{ " + repeated("not ", 50'000) + "1 }}", nested);
  check_stopped("{{ " + repeated("a[", 50'000) + "1" + repeated("]", 50'000) + " }}", nested);
  check_stopped("{{ " + repeated("a(", 50'000) + repeated(")", 50'000) + " }}", nested);
  check_stopped("{{ " + repeated("1 if 1 else ", 10'000) + "1 }}", nested);
  check_stopped("{{ " + repeated("a is b(", 20'000) + repeated(")", 20'000) + " }}", nested);
  check_stopped("{% for " + repeated("(", 100'000) + repeated(")", 100'000) + " in a %}", nested);
  check_stopped(repeated("{% if 1 %}", 20'000), nested);
  check_stopped(repeated("{% for a in [1] %}", 10'000), nested);
  check_stopped(repeated("{% set a %}", 10'000), nested);
  check_stopped(repeated("{% filter upper %}", 10'000), nested);
  check_stopped(repeated("{% macro m() %}", 10'000), nested);
  check_stopped("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", nested);
  check_stopped("{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}", nested);
  check_stopped("{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}", nested);
  check_stopped("{% macro m(a=m()) %}{% endmacro %}{{ m() }}", nested);
  check_stopped("{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}", nested);
  check_stopped("{{ 'a'|map(" + repeated("'map', ", 1'500) + "'upper')|list }}", nested);
  const std::string deep =
      "{% set ns = namespace(x=[], y=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}"
      "{% set ns.y = [ns.y] %}{% endfor %}";
  for (const char* use : {"{{ ns.x }}", "{{ ns.x|tojson }}", "{{ ns.x == ns.y }}", "{{ ns.x < ns.y }}"}) {
    check_stopped(deep + use, nested);
  }
  check_stopped("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", nested);
  check_stopped("{% set ns = namespace() %}{% set ns.x = [ns] %}{{ [ns.x]|string }}", nested);
}

TEST_CASE("nesting: macros that go deep in their own expressions stay within the stack") {
  const std::string brackets = repeated("[", 28);
  check_stopped("{% macro m() %}{{ " + brackets + "m()" + repeated("]", 28) + " }}{% endmacro %}{{ m() }}", nested);
  check_stopped("{% macro m() %}" + repeated("{% if 1 %}", 50) + "{{ m() }}" + repeated("{% endif %}", 50) +
                    "{% endmacro %}{{ m() }}",
                nested);
}

TEST_CASE("long chains are no nesting") {
  CHECK(run("{{ 1" + repeated(" + 1", 20'000) + " }}").text == "20001");
  CHECK(run("{{ 'a'" + repeated(" ~ 'a'", 20'000) + " }}").text.size() == 20'001);
  CHECK(run("{{ 1" + repeated(" and 1", 20'000) + " }}").text == "1");
  CHECK(run("{{ ' a'" + repeated("|trim", 20'000) + " }}").text == "a");
  CHECK(run("{% if 0 %}" + repeated("{% elif 0 %}", 15'000) + "{% else %}x{% endif %}").text == "x");
  CHECK(run(repeated("{# c #}", 30'000) + repeated("x{{ 1 }}", 5'000)).text.size() == 10'000);
}

TEST_CASE("a source of more than 256 KiB is refused") {
  CHECK(run(std::string(256 << 10, 'a')).text.size() == 256 << 10);
  check_stopped(std::string((256 << 10) + 1, 'a'), "it has 262145 bytes, expected at most 262144");
  check_stopped(repeated("{{ 1 }}", 200'000), "expected at most 262144");
}

TEST_CASE("sources of the largest size are parsed and judged quickly") {
  const size_t n = 256 << 10;
  for (const std::string unit :
       {"{{a}}", "{%if a%}{%endif%}", "{{ '", "{#", "{% raw %}", "{", "{{ a.", "{{ a|", "{{ a,", "{{ [a,", "\n  {%",
        "{{ 1_", "\\", "{{ \"\\x", "{% set a", "{{ {", "-%}", "{%-", " "}) {
    const Outcome outcome = run(repeated(unit, n / unit.size()));
    INFO(unit);
    CHECK(outcome.seconds < max_seconds);
  }
  const Outcome raw = run("{% raw %}" + repeated("{% endraw ", n / 11));
  CHECK(raw.seconds < max_seconds);
}

TEST_CASE("the limits are the caller's to choose") {
  TemplateLimits limits;
  limits.max_steps = 10;
  CHECK_THAT(run("{% for i in range(100) %}{{ i }}{% endfor %}", {}, limits).sentence,
             Catch::Contains("after 10 steps"));
  limits = {};
  limits.max_output_bytes = 1024;
  CHECK_THAT(run("{{ 'a' * 2000 }}", {}, limits).sentence, Catch::Contains("grew over 1 KiB"));
  limits = {};
  limits.max_seconds = 0;
  CHECK_THAT(run("{% for i in range(10000) %}{{ i }}{% endfor %}", {}, limits).sentence,
             Catch::Contains("after 0 seconds"));
  limits = {};
  limits.max_range = 5;
  CHECK_THAT(run("{{ range(6) }}", {}, limits).sentence, Catch::Contains("more than 5 numbers"));
  limits = {};
  limits.max_depth = 3;
  CHECK_THAT(run("{{ (((1))) }}", {}, limits).sentence, Catch::Contains("nested deeper than 3 levels"));
}

TEST_CASE("a rendering asks whether it is still wanted, and ends when it is not") {
  const std::string long_loop = "{% for a in range(100) %}{% for b in range(400) %}{{ b }}{% endfor %}{% endfor %}";
  int n_asked = 0;
  const auto stop_at = [&](int n) { return [&n_asked, n] { return ++n_asked == n; }; };
  CHECK_NOTHROW(ChatTemplate(long_loop).render({}, stop_at(-1)));
  CHECK(n_asked > 10);
  n_asked = 0;
  CHECK_THROWS_AS(ChatTemplate(long_loop).render({}, stop_at(3)), Cancelled);
  CHECK(n_asked == 3);
}

TEST_CASE("an origin that changes at every character costs memory that is counted") {
  const std::string content = repeated("a", 100'000);
  CHECK(run("{{ messages[0].content.replace('', '-') }}", {{"user", content}}).text.size() == 200'001);
  const Outcome outcome = run("{{ messages[0].content.replace('', '-') }}", {{"user", repeated("a", 3'000'000)}});
  CHECK_THAT(outcome.sentence, Catch::Contains("took more than 109 MiB"));
}

}  // namespace headroom::chat_template_limits_test
