// Templates that try to use all memory or never to end: one per operation of the interpreter and operand, with texts of
// a chosen size. The tests and measurements share them.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace headroom::test {

/// Each runs its operation 10,000 times. n: bytes of the long text x. y is as long and has characters of two bytes, z
/// is hard to search for, w has many short words. l is a list, d a dict, k a dict with a long key, ns a namespace.
inline std::vector<std::string> template_bombs(size_t n) {
  const std::string half = std::to_string(n / 2);
  const std::string setup = "{% set x = 'a' * " + std::to_string(n) + " %}{% set y = 'é' * " + half +
                            " %}{% set z = 'a' * " + half + " ~ 'b' %}{% set w = 'a, ' * " + std::to_string(n / 64) +
                            " %}{% set d = {'a': 1} %}{% set l = range(10000)|list %}{% set k = {z: 1} %}" +
                            "{% set ns = namespace(a=1, x=[1], s='ab') %}";
  // Operations that search, cut or change, with each kind of operand.
  const std::vector<std::string> operations = {
      // Names that do not exist.
      "d[x]", "d|attr(x)", "ns[x]", "ns|attr(x)", "l[x]", "'a'[x]", "none[x]", "messages[0][x]", "(1)[y]", "range[x]",
      "d[y]", "[d]|map(attribute=x)|list", "[d]|sum(attribute=x)|default(1)", "[d]|groupby(x)", "[]|first", "k[z ~ '']",
      "k|attr(z)", "d.get(x)", "k.get(z ~ '')", "[x][0][x]", "joiner[x]", "[d]|selectattr(x)|list",
      "[d]|map(attribute='a.' * 1000)|list",
      // Needles and haystacks.
      "x in 'a'", "x is in 'a'", "'a' in x", "z in x", "z in z", "'b' not in y", "x in [x ~ '', y]", "[x] == [x ~ '']",
      "'a'.find(x)", "x.find('b')", "x.find(z)", "x.rfind(z)", "('b' ~ x).rfind('b' ~ x[2:])", "'a'.count(x)",
      "x.count('aa')", "x.count(z)", "'a'.replace(x, '')", "x.replace('a', '')", "x.replace('', 'b')",
      "x.replace('a', x)", "'a'|replace(x, y)", "'a'.split(x)", "x.split('a')", "x.rsplit('a')", "x.rsplit(z)",
      "w.split()", "w.split(', ')", "y.split()", "w.rsplit(None, 3)", "'a'.partition(x)", "x.partition(z)",
      "x.rpartition(z)", "'a'.startswith(x)", "x.startswith(x ~ '')", "x.startswith((z, z, z))",
      "x.startswith((z,) * 10000)", "x.endswith(z)", "x.removeprefix(x[1:])", "x.removesuffix(x[1:])",
      "x.removeprefix(z)", "x.strip('a')", "'a'.strip(x)", "y.lstrip(y)", "y.rstrip('é')", "x|trim", "x.splitlines()",
      "('\\n' * 1000000).splitlines()", "x == x ~ ''", "x < z", "x <= x ~ ''", "y != x", "[x, z, x]|sort",
      "[x, z]|unique|list", "[x, z, y]|max", "[x]|min", "l.index(x)", "([x] * 1000).count(z)", "([x] * 10000).index(z)",
      // Patterns.
      "('{' ~ '0' * 15000000 ~ '}').format('a')", "('%' ~ '0' * 15000000 ~ 'd') % 1", "('%(' ~ x ~ ')s') % d",
      "('%(' ~ z ~ ')s') % k", "('{' ~ x ~ '}').format(a=1)", "('{:' ~ x ~ '}').format(1)",
      "('{!' ~ x ~ '}').format(1)", "'%s%s' % (x, x)", "'{0}{0}{0}'.format(x)", "'{:1000}'.format(1)",
      "('%1000d' * 1000) % ((1,) * 1000)", "('{:1000}' * 10000).format(*l)", "x % ()", "x.format()", "x|format(1)",
      "('%%' * 1000000) % ()", "'{a}'.format_map(k)", "strftime_now(x)", "strftime_now('%c' * 100000)",
      // Character by character.
      "x.upper()", "y.upper()", "y.lower()", "('Σ' * 100000).lower()", "('Α' ~ '.' * 100000 ~ 'Σ').lower()",
      "('Σ.' * 50000).lower()", "y.title()", "y|title", "x.capitalize()", "y.swapcase()", "y.casefold()",
      "('ﬃ' * 1000000).upper()", "x.isdigit()", "x.isalpha()", "y.isalnum()", "x.islower()", "x.isascii()",
      "y.isidentifier()", "y.istitle()", "y is lower", "x.expandtabs()", "('\\t' * 100000).expandtabs(1000)", "x|list",
      "y|reverse", "x[::-1]", "y[::2]", "y[" + std::to_string(n / 4) + "]", "y[1:]", "x[1:]", "x|e",
      "('<' * 1000000)|e", "x|forceescape", "x|tojson", "y|tojson(ensure_ascii=true)", "[x]|string", "[y]|pprint",
      "w|pprint", "x|wordcount", "w|truncate(100)", "y|truncate(1000000)", "x|urlencode", "y|urlencode",
      "[(x, x)]|urlencode", "('<a>' * 1000000)|striptags", "('&amp;' * 1000000)|striptags",
      "('<!--' * 1000000)|striptags", "('&' * 1000000)|striptags", "w|indent",
      "('\\n' * 1000000)|indent(1000, true, true)", "x|int", "x|float", "('1' * 1000000)|int", "('1' * 1000000)|float",
      "('1' * 1000000)|int(0, 16)", "('٣' * 100000)|int",
      // Growth.
      "x + x", "x ~ x ~ x ~ x ~ x", "x * 10", "'a' * 10 ** 12", "[1] * 10 ** 9", "l * 1000", "l + l", "w.join(w)",
      "x.join(['1'] * 1000)", "l|join(x)", "x.center(10 ** 9)", "x.ljust(10 ** 12)", "'a'.rjust(50000000, 'é')",
      "'1'.zfill(40000000)", "x|center(60000000)", "l|batch(10 ** 9, 1)|list", "l|batch(1)|list",
      "l|slice(10 ** 9)|list", "l|slice(10000)|list", "[l]|tojson(indent=x)", "[[[1]]]|tojson(indent=1000)", "l|pprint",
      "(l|map('string')|list)|sort", "l|sort(reverse=true)", "l|unique|list", "l|map('string')|unique|list", "l|sum",
      "l|groupby('x', default=1)", "l|random", "dict(a=l)|dictsort", "dict([[x, 1], [y, 2]])", "{x: 1, y: 2, z: 3}",
      "namespace(**k)", "range(10000)|list", "cycler(*l).next()", "joiner(x)()",
      "raise_exception(x) if loop.index > 9000 else x ~ 'b'"};
  const std::vector<std::string> blocks = {
      "{% set ns.s = ns.s ~ ns.s %}",
      "{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}",
      "{% set ns.x = [ns.x, ns.x] %}{{ (ns.x|string)[0] }}",
      "{% set ns.x = [ns.x, ns.x] %}{{ (ns.x|tojson)[0] }}",
      "{% set ns.x = [ns.x] %}",
      "{% set ns.x = [ns, ns.x] %}",
      "{% macro m() %}{{ x }}{% endmacro %}{% set q = m() %}",
      "{% filter upper %}{{ x }}{% endfilter %}",
      "{% for c in x %}{% endfor %}",
      "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}",
      "{% for a in l if a == -1 %}{% endfor %}",
      "{% for a in x.split('a') %}{% endfor %}",
      "{% for a, b in l %}{% endfor %}",
      "{{ x }}",
      "{{ 'a' * 8000000 }}",
      "{% with q = x ~ x %}{% endwith %}",
      "{% macro m(a) %}{% set ns.s = caller %}{% endmacro %}{% call m(1) %}{{ x }}{% endcall %}",
      "{% set q = loop.cycle(*l) %}{% set r = loop.changed(l) %}",
      "{% macro m(a=x ~ 'b') %}{{ kwargs }}{% endmacro %}{{ m(**k) }}",
      "{% if (x is sameas y) or x|length == y|length or (x|first) == (y|last) %}{% endif %}"};
  std::vector<std::string> bombs;
  const std::string loop = setup + "{% for i in range(10000) %}";
  for (const std::string& operation : operations)
    bombs.push_back(loop + "{% set q = " + operation + " %}{% endfor %}ok");
  for (const std::string& block : blocks) bombs.push_back(loop + block + "{% endfor %}ok");
  // Calls with an absurd number of parameters and arguments.
  std::string parameters;
  for (int i = 0; i < 20'000; ++i) parameters += "p" + std::to_string(i) + "=1,";
  bombs.push_back("{% macro m(" + parameters.substr(0, parameters.size() - 1) +
                  ") %}{% endmacro %}{% set d = dict(range(10000)|map('string')|batch(2)|list) %}"
                  "{% for i in range(10000) %}{{ m(**{'p1': 1, 'p19999': 2}) }}{% endfor %}");
  return bombs;
}

}  // namespace headroom::test
