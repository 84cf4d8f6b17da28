// Text from users stays marked as theirs, character by character, whatever a template does with it. This is why no
// message can become a control token. ⟦ and ⟧ enclose user text in the expected strings.
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/error.h"
#include "engine/text/chat_template.h"

namespace headroom::chat_template_marks_test {
namespace {

std::string show(const std::vector<TextSpan>& spans) {
  std::string text;
  for (const TextSpan& span : spans) text += span.from_user ? "⟦" + span.text + "⟧" : span.text;
  return text;
}

/// u is the user's text, s a string of the template.
std::string marked(const std::string& expression, const std::string& user_text) {
  TemplateInput input;
  input.messages = {{"user", user_text}};
  input.date = "26 Jul 2024";
  const std::string source = "{% set u = messages[0].content %}{% set s = '<|im_' %}";
  return show(ChatTemplate(source + expression).render(input));
}

struct Case {
  const char* expression;
  const char* user_text;
  const char* expected;
};

void check_all(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    INFO(one.expression << " with " << one.user_text);
    CHECK(marked(one.expression, one.user_text) == one.expected);
  }
}

}  // namespace

TEST_CASE("text of the template is not the user's, the content of a message is") {
  check_all({
      {"<{{ u }}>", "abc", "<⟦abc⟧>"},
      {"{{ s }}{{ 'x' * 3 }}{{ 12 }}{{ true }}", "abc", "<|im_xxx12True"},
      {"{{ u }}{{ u }}", "abc", "⟦abcabc⟧"},
      {"{{ u }}", "", ""},
  });
}

TEST_CASE("an unknown role is the user's, the four known ones and the model's tokens are the template's") {
  TemplateInput input;
  input.bos_token = "<s>";
  input.eos_token = "</s>";
  input.messages = {{"system", "a"}, {"user", "b"}, {"assistant", "c"}, {"tool", "d"}, {"<|im_start|>", "e"}};
  const ChatTemplate roles("{{ bos_token }}{% for m in messages %}{{ m.role }},{% endfor %}{{ eos_token }}");
  CHECK(show(roles.render(input)) == "<s>system,user,assistant,tool,⟦<|im_start|>⟧,</s>");
}

TEST_CASE("marks follow characters through concatenation, slices and repetition") {
  check_all({
      {"{{ s ~ u[0:3] ~ '|>' }}", "start", "<|im_⟦sta⟧|>"},
      {"{{ (s + u)[3:8] }}", "start", "m_⟦sta⟧"},
      {"{{ (s + u)[::-1] }}", "ab", "⟦ba⟧_mi|<"},
      {"{{ (s + u)[-2] }}", "ab", "⟦a⟧"},
      {"{{ ('-' + u) * 2 }}", "é", "-⟦é⟧-⟦é⟧"},
      {"{{ (u + '-')[::2] }}", "abc", "⟦ac⟧"},
      {"{{ 'x' if u else 'y' }}", "abc", "x"},
      {"{% for c in u %}{{ c }}.{% endfor %}", "żó", "⟦ż⟧.⟦ó⟧."},
      {"{% set x %}<{{ u }}>{% endset %}{{ x[1:] }}", "abc", "⟦abc⟧>"},
      {"{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m(u)|upper }}", "abc", "[⟦ABC⟧]"},
      {"{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}({{ u }}){% endcall %}", "abc", "(⟦abc⟧)"},
      {"{% filter upper %}x{{ u }}{% endfilter %}", "abc", "X⟦ABC⟧"},
      {"{% set ns = namespace(a='<') %}{% set ns.a = ns.a + u %}{{ ns.a }}", "abc", "<⟦abc⟧"},
      {"{{ {'k': u}.k }}{{ {u: 1}|list|first }}{{ dict(**{u: 2}) }}", "k", "⟦kk⟧{'⟦k⟧': 2}"},
      {"{% macro m() %}{{ kwargs }}{{ varargs }}{% endmacro %}{{ m(u, **{u: u}) }}", "k", "{'⟦k⟧': '⟦k⟧'}('⟦k⟧',)"},
      {"{{ namespace(**{u: 1}) }}", "k", "<Namespace {'⟦k⟧': 1}>"},
  });
}

TEST_CASE("marks follow characters through string methods") {
  check_all({
      {"{{ ('<' + u + '>').strip('<>') }}", "<a>", "⟦a⟧"},
      {"{{ (' ' + u + ' ').strip() }}", " a ", "⟦a⟧"},
      {"{{ (s + u).upper() }}", "ab", "<|IM_⟦AB⟧"},
      {"{{ ('x' + u).title() }}{{ ('x' + u).capitalize() }}", "aB", "X⟦ab⟧X⟦ab⟧"},
      {"{{ ('a,' + u).split(',') | join(';') }}", "b,c", "a;⟦b⟧;⟦c⟧"},
      {"{{ u.split()[-1] }}{{ u.rsplit(' ', 1)[0] }}{{ u.splitlines()[0] }}", "a b",
       "⟦ba"
       "a b⟧"},
      {"{{ 'a-b'.replace('-', u) }}{{ u.replace('b', '<') }}", "-b-", "a⟦-b-⟧b⟦-⟧<⟦-⟧"},
      {"{{ u.replace('', '.') }}", "ab", ".⟦a⟧.⟦b⟧."},
      {"{{ u.join(['<', '>']) }}{{ '-'.join(u) }}", "ab", "<⟦ab⟧>⟦a⟧-⟦b⟧"},
      {"{{ '<{}>'.format(u) }}{{ '{:>4}|{:.1}'.format(u, u) }}", "ab", "<⟦ab⟧>  ⟦ab⟧|⟦a⟧"},
      {"{{ u.format('x') }}{{ u.format(1) }}", "<{:*^3}>", "⟦<*⟧x⟦*><*1*>⟧"},  // a user's format writes the number
      {"{{ '<%s>' % u }}{{ '%r' % u }}{{ '%5s' % u }}", "a", "<⟦a⟧>'⟦a⟧'    ⟦a⟧"},
      {"{{ u % 5 }}", "<%03d>", "⟦<005>⟧"},
      {"{{ u.removeprefix('a') }}{{ (u + '>').removesuffix('>') }}", "ab", "⟦bab⟧"},
      {"{{ [u] }}{{ {'a': u} }}{{ (u,) }}", "it's\n", "[\"⟦it's\\n⟧\"]{'a': \"⟦it's\\n⟧\"}(\"⟦it's\\n⟧\",)"},
  });
}

TEST_CASE("marks follow characters through filters") {
  check_all({
      {"{{ ('<' ~ u)|tojson }}", "a\"\n\x01", "\"<⟦a\\\"\\n\\u0001⟧\""},
      {"{{ {u: [u]}|tojson }}", "é", "{\"⟦é⟧\": [\"⟦é⟧\"]}"},
      {"{{ u|tojson(ensure_ascii=true) }}", "é", "\"⟦\\u00e9⟧\""},
      {"{{ [1, 2]|tojson(separators=(u, '')) }}{{ [1]|tojson(indent=u) }}", "<", "[1⟦<⟧2][\n⟦<⟧1\n]"},
      {"{{ ('<' + u)|e }}", "<", "&lt;⟦&lt;⟧"},
      {"{{ u|safe + '<' }}", "<", "⟦<⟧&lt;"},
      {"{{ (u ~ '>')|indent(1, true) }}", "a\nb", " ⟦a\n⟧ ⟦b⟧>"},
      {"{{ 'a\nb'|indent(u) }}", "--", "a\n⟦--⟧b"},
      {"{{ u|list|reverse|join }}{{ u|reverse }}{{ u|first }}{{ u|last }}", "ab", "⟦babaab⟧"},
      {"{{ [u, 'a']|sort|join }}{{ [u, 'b']|unique|join }}{{ [u, 'a']|max }}", "b", "a⟦bbb⟧"},
      {"{{ {u: u}|dictsort }}{{ {u: u}|items|list }}", "b", "[('⟦b⟧', '⟦b⟧')][('⟦b⟧', '⟦b⟧')]"},
      {"{{ [u]|map('upper')|join }}{{ [u]|select|first }}{{ messages|map(attribute='content')|join }}", "b", "⟦Bbb⟧"},
      {"{{ [1, 2]|join(u) }}{{ none|default(u) }}{{ nothing|default(u) }}", "-", "1⟦-⟧2None⟦-⟧"},
      {"{{ 'aXb'|replace('X', u) }}{{ u|trim }}{{ u|title }}{{ u|string }}", " c ", "a⟦ c ⟧b⟦c C  c ⟧"},
      {"{{ '%s|'|format(u) }}{{ u|format('x') }}", "<%s", "⟦<%s⟧|⟦<⟧x"},
      {"{{ strftime_now(u) }}{{ strftime_now('<%Y') }}", "<%d", "⟦<26⟧<2024"},
      {"{{ joiner(u)() }}{% set j = joiner(u) %}{{ j() }}{{ j() }}{{ cycler(u, 'x').next() }}", "a", "⟦aa⟧"},
  });
}

TEST_CASE("marks follow characters through padding, cutting and other cases") {
  check_all({
      {"{{ (s + u).swapcase() }}{{ (s + u).casefold() }}", "aß", "<|IM_⟦ASS⟧<|im_⟦ass⟧"},
      {"{{ ('Α' + u).lower() }}{{ (u + 'Α').lower() }}", "Σ", "α⟦ςσ⟧α"},
      {"{{ (s + u).upper() }}", "ﬁ", "<|IM_⟦FI⟧"},
      {"{{ u.center(5) }}|{{ 'a'.center(3, u) }}", "-", "  ⟦-⟧  |⟦-⟧a⟦-⟧"},
      {"{{ u.ljust(3) }}{{ u.rjust(3, '<') }}{{ 'x'.rjust(2, u) }}{{ 'x'.ljust(2, u) }}", "-", "⟦-⟧  <<⟦--⟧xx⟦-⟧"},
      {"{{ u.zfill(4) }}{{ 'x'.rjust(u|int) }}", "-7", "⟦-⟧00⟦7⟧x"},
      {"{{ 'x'.rjust(u|int) }}{{ 'x'.zfill(u|int) }}", "3", "⟦  ⟧x⟦00⟧x"},
      {"{{ ('<' ~ u).partition('<') }}{{ u.partition(',')[1] }}{{ u.rpartition(',')[2] }}", "a,b",
       "('', '<', '⟦a,b⟧')⟦,b⟧"},
      {"{{ ('<\t' ~ u).expandtabs(2) }}", "\tb", "< ⟦  b⟧"},
      {"{{ '{a}'.format_map({'a': u}) }}{{ u.format_map({'a': '<'}) }}", "{a}", "⟦{a}⟧<"},
      {"{{ [{'k': u}]|groupby('k') }}", "b", "[('⟦b⟧', [{'k': '⟦b⟧'}])]"},
      {"{{ [u, '<']|batch(1)|list }}{{ ['<']|slice(2, u)|list }}", "b", "[['⟦b⟧'], ['<']][['<'], ['⟦b⟧']]"},
      {"{{ (s ~ u)|truncate(7, true, u, 0) }}", "ab cd", "<|⟦ab cd⟧"},
      {"{{ u|center(3) }}{{ ('<' ~ u)|forceescape }}", "<", " ⟦<⟧ &lt;⟦&lt;⟧"},
      {"{{ ('< ' ~ u)|urlencode }}{{ {u: '<'}|urlencode }}", "/ é", "%3C%20⟦/%20%C3%A9%2F+%C3%A9⟧=%3C"},
      {"{{ ('<b>x</b> ' ~ u)|striptags }}{{ (u ~ '&lt;')|striptags }}", "<i>&lt;  |", "x ⟦< |< |⟧<"},
      {"{{ {u: [u]}|pprint }}{{ u|pprint }}", "b", "{'⟦b⟧': ['⟦b⟧']}'⟦b⟧'"},
      {"{{ u|int }}", "１２", "⟦12⟧"},
  });
}

TEST_CASE("a number that was read from a user's characters is written as the user's") {
  check_all({
      {"<{{ u|int }}>", "42", "<⟦42⟧>"},
      {"{{ (u|int + 1) ~ -(u|int) ~ (u|float * 2) ~ 7 }}", "42", "⟦43-4284.0⟧7"},
      {"{{ [u|int] }}{{ (u|int)|tojson }}{{ '%d' % (u|int) }}{{ '{}'.format(u|int) }}", "4", "[⟦4⟧]⟦444⟧"},
      {"{{ range(u|int, 6)|list }}{{ [u|int, 1]|sum }}{{ [u|int]|max }}", "4", "[⟦4⟧, ⟦5⟧]⟦54⟧"},
      {"{{ u|int|string|int }}{{ u|float|round|int }}{{ u|int|abs }}", "4", "⟦444⟧"},
      {"{{ u|length }}{{ u == 'abc' }}{{ u.find('c') }}", "abc", "3True2"},
  });
}

TEST_CASE("comparisons and lookups ignore marks") {
  check_all({
      {"{{ 'y' if u == 'abc' and u in ['abc'] and 'b' in u and u in {'abc': 1} }}", "abc", "y"},
      {"{{ {'abc': '<'}[u] }}", "abc", "<"},
  });
}

TEST_CASE("no character of a message leaves an expression without its mark") {
  // No template writes these characters, so every expression must leave them inside marked spans.
  const std::string letters = "ᐁᐂᐃ ᐄᐅ\nᐆ,ᐇ";
  std::ifstream file(std::string(HEADROOM_TEST_DATA) + "/templates/snippets.json");
  const nlohmann::json snippets = nlohmann::json::parse(file)["snippets"];
  const auto has_letter = [](const std::string& text) { return text.find("\xe1\x90") != std::string::npos; };
  TemplateInput input;
  for (const char* role : {"system", "user", "assistant", "user"}) input.messages.push_back({role, letters});
  int seen = 0;
  for (const auto& snippet : snippets) {
    const std::string source = snippet["source"];
    INFO(source);
    try {
      for (const TextSpan& span : ChatTemplate(source).render(input)) {
        if (span.from_user) ++seen;
        if (!span.from_user) CHECK_FALSE(has_letter(span.text));
      }
    } catch (const Error&) {
      // A refused template returns no text at all.
    }
  }
  CHECK(seen > 20);
}

TEST_CASE("with real templates exactly the characters of the messages are marked") {
  const std::string folder = std::string(HEADROOM_TEST_DATA) + "/templates/";
  std::ifstream file(folder + "expected.json");
  const nlohmann::json expected = nlohmann::json::parse(file);
  const auto is_letters = [](const std::string& text) {
    for (size_t i = 0; i < text.size(); i += 3) {
      if (text.compare(i, 2, "\xe1\x90") != 0) return false;
    }
    return text.size() % 3 == 0;
  };
  for (const auto& [name, cases] : expected["templates"].items()) {
    INFO(name);
    std::ifstream source_file(folder + name, std::ios::binary);
    std::stringstream source;
    source << source_file.rdbuf();
    const ChatTemplate chat_template(source.str());
    TemplateInput input;
    input.date = "26 Jul 2024";
    input.messages = {{"user", "ᐁᐂᐃ"}, {"assistant", "ᐄᐅ"}, {"user", "ᐆᐇᐈ"}};
    if (cases[4].contains("raises")) continue;
    std::string user_text;
    for (const TextSpan& span : chat_template.render(input)) {
      CHECK_FALSE(span.text.empty());
      if (span.from_user) {
        CHECK(is_letters(span.text));
        user_text += span.text;
      } else {
        CHECK(span.text.find("\xe1\x90") == std::string::npos);
      }
    }
    CHECK(user_text == "ᐁᐂᐃᐄᐅᐆᐇᐈ");
  }
}

TEST_CASE("neighbouring spans differ in origin and together are the whole text") {
  TemplateInput input;
  input.messages = {{"user", "a"}, {"user", "b"}};
  const auto spans =
      ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}{{ '' }}x{{ 'y' }}{{ messages[0].content }}")
          .render(input);
  REQUIRE(spans.size() == 3);
  CHECK(spans[0].text == "ab");
  CHECK(spans[1].text == "xy");
  CHECK(spans[2].text == "a");
  CHECK((spans[0].from_user && !spans[1].from_user && spans[2].from_user));
}

}  // namespace headroom::chat_template_marks_test
