// Tokens ─► expressions of a chat template, with Jinja's precedences. See parser.h.
#include <algorithm>
#include <charconv>

#include "engine/text/jinja/parser_internal.h"

namespace headroom::jinja {

ExpressionPtr Parser::parse_expression(bool with_condition) {
  const Level level(*this);
  return with_condition ? parse_conditional() : parse_any();
}

ExpressionPtr Parser::parse_conditional() {
  ExpressionPtr value = parse_any();
  while (skip_name("if")) {
    ExpressionPtr conditional = make(Expression::Kind::conditional);
    const Level level(*this);
    conditional->operands.push_back(parse_any());
    conditional->operands.push_back(std::move(value));
    // An else branch includes everything that follows. So this loop could only repeat after a conditional without else.
    // Each repetition would make the tree deeper, so such a source is refused below.
    const bool has_else = skip_name("else");
    if (has_else) conditional->operands.push_back(parse_conditional());
    value = std::move(conditional);
    if (!has_else && current().is_name("if")) fail_expected("'else' before another 'if'");
  }
  return value;
}

ExpressionPtr Parser::parse_any() {
  ExpressionPtr value = parse_all();
  if (!current().is_name("or")) return value;
  ExpressionPtr any = make(Expression::Kind::any);
  any->operands.push_back(std::move(value));
  while (skip_name("or")) any->operands.push_back(parse_all());
  return any;
}

ExpressionPtr Parser::parse_all() {
  ExpressionPtr value = parse_not();
  if (!current().is_name("and")) return value;
  ExpressionPtr all = make(Expression::Kind::all);
  all->operands.push_back(std::move(value));
  while (skip_name("and")) all->operands.push_back(parse_not());
  return all;
}

ExpressionPtr Parser::parse_not() {
  if (!current().is_name("not")) return parse_compare();
  const Level level(*this);
  ExpressionPtr negation = make(Expression::Kind::logical_not);
  take();
  negation->operands.push_back(parse_not());
  return negation;
}

ExpressionPtr Parser::parse_compare() {
  ExpressionPtr value = parse_sum();
  ExpressionPtr compare;
  while (true) {
    Operator op = Operator::equal;
    const size_t start = position_;
    if (skip_symbol("==")) {
      op = Operator::equal;
    } else if (skip_symbol("!=")) {
      op = Operator::not_equal;
    } else if (skip_symbol("<=")) {
      op = Operator::less_equal;
    } else if (skip_symbol("<")) {
      op = Operator::less;
    } else if (skip_symbol(">=")) {
      op = Operator::greater_equal;
    } else if (skip_symbol(">")) {
      op = Operator::greater;
    } else if (skip_name("in")) {
      op = Operator::in;
    } else if (current().is_name("not") && ahead().is_name("in")) {
      position_ += 2;
      op = Operator::not_in;
    }
    if (position_ == start) break;
    if (!compare) {
      compare = make(Expression::Kind::compare);
      compare->operands.push_back(std::move(value));
    }
    compare->operators.push_back(op);
    compare->operands.push_back(parse_sum());
  }
  return compare ? std::move(compare) : std::move(value);
}

namespace {

void chain(ExpressionPtr& left, ExpressionPtr empty_chain, Operator op, ExpressionPtr right) {
  if (empty_chain) {
    empty_chain->operands.push_back(std::move(left));
    left = std::move(empty_chain);
  }
  left->operators.push_back(op);
  left->operands.push_back(std::move(right));
}

}  // namespace

ExpressionPtr Parser::parse_sum() {
  ExpressionPtr value = parse_concatenation();
  for (bool first = true; current().is_symbol("+") || current().is_symbol("-"); first = false) {
    ExpressionPtr sum = first ? make(Expression::Kind::arithmetic) : nullptr;
    const Operator op = take().text == "+" ? Operator::add : Operator::subtract;
    chain(value, std::move(sum), op, parse_concatenation());
  }
  return value;
}

ExpressionPtr Parser::parse_concatenation() {
  ExpressionPtr value = parse_product();
  if (!current().is_symbol("~")) return value;
  ExpressionPtr joined = make(Expression::Kind::concatenate);
  joined->operands.push_back(std::move(value));
  while (skip_symbol("~")) joined->operands.push_back(parse_product());
  return joined;
}

ExpressionPtr Parser::parse_product() {
  ExpressionPtr value = parse_power();
  for (bool first = true;; first = false) {
    const std::string symbol = current().kind == Token::Kind::symbol ? current().text : "";
    if (symbol != "*" && symbol != "/" && symbol != "//" && symbol != "%") return value;
    ExpressionPtr product = first ? make(Expression::Kind::arithmetic) : nullptr;
    take();
    const Operator op = symbol == "*"    ? Operator::multiply
                        : symbol == "/"  ? Operator::divide
                        : symbol == "//" ? Operator::floor_divide
                                         : Operator::modulo;
    chain(value, std::move(product), op, parse_power());
  }
}

ExpressionPtr Parser::parse_power() {
  ExpressionPtr value = parse_signed(true);
  for (bool first = true; current().is_symbol("**"); first = false) {
    ExpressionPtr power = first ? make(Expression::Kind::arithmetic) : nullptr;
    take();
    chain(value, std::move(power), Operator::power, parse_signed(true));
  }
  return value;
}

ExpressionPtr Parser::parse_signed(bool with_filters) {
  ExpressionPtr value;
  if (current().is_symbol("-") || current().is_symbol("+")) {
    const Level level(*this);
    value = make(current().is_symbol("-") ? Expression::Kind::negate : Expression::Kind::plus);
    take();
    value->operands.push_back(parse_signed(false));
  } else {
    value = parse_primary();
  }
  parse_suffixes(value, false, true);
  if (with_filters) parse_suffixes(value, true, false);
  return value;
}

ExpressionPtr Parser::parse_primary() {
  const Token& token = current();
  switch (token.kind) {
    case Token::Kind::name:
      return parse_name();
    case Token::Kind::string:
      return parse_string();
    case Token::Kind::integer:
    case Token::Kind::real:
      return parse_number();
    default:
      break;
  }
  if (token.is_symbol("(")) {
    take();
    ExpressionPtr value = parse_tuple(true);
    expect_symbol(")");
    return value;
  }
  if (token.is_symbol("[")) return parse_list();
  if (token.is_symbol("{")) return parse_dict();
  fail_expected("an expression");
}

ExpressionPtr Parser::parse_name() {
  ExpressionPtr value = make(Expression::Kind::constant);
  const Token token = take();
  if (token.text == "true" || token.text == "True") {
    value->constant = Value::of(true);
  } else if (token.text == "false" || token.text == "False") {
    value->constant = Value::of(false);
  } else if (token.text == "none" || token.text == "None") {
    value->constant = Value::none();
  } else {
    value->kind = Expression::Kind::name;
    value->name = name_id(token.text);
    for (MacroDefinition* macro : macros_) {
      macro->uses_caller |= token.text == "caller";
      macro->uses_varargs |= token.text == "varargs";
      macro->uses_kwargs |= token.text == "kwargs";
    }
  }
  return value;
}

ExpressionPtr Parser::parse_string() {
  ExpressionPtr value = make(Expression::Kind::constant);
  std::string text;
  while (current().kind == Token::Kind::string) text += take().text;
  value->constant_text = std::make_unique<StringObject>(Text(text));
  value->constant = Value(value->constant_text.get());
  return value;
}

ExpressionPtr Parser::parse_number() {
  ExpressionPtr value = make(Expression::Kind::constant);
  const Token token = take();
  const char* begin = token.text.data();
  const char* end = begin + token.text.size();
  std::from_chars_result result{};
  if (token.kind == Token::Kind::real) {
    double number = 0;
    result = std::from_chars(begin, end, number);
    value->constant = Value::of(number);
  } else {
    int base = 10;
    if (token.text.size() > 2 && token.text[0] == '0') {
      const char letter = static_cast<char>(token.text[1] | 0x20);
      base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
    }
    int64_t number = 0;
    result = std::from_chars(begin + (base == 10 ? 0 : 2), end, number, base);
    value->constant = Value::of(number);
  }
  if (result.ec != std::errc() || result.ptr != end) {
    fail_at_line(token.line, "the number '" + token.text.substr(0, 100) + "' is not a 64-bit number");
  }
  return value;
}

ExpressionPtr Parser::parse_list() {
  ExpressionPtr list = make(Expression::Kind::list);
  expect_symbol("[");
  while (!skip_symbol("]")) {
    if (!list->operands.empty()) {
      expect_symbol(",");
      if (skip_symbol("]")) break;
    }
    list->operands.push_back(parse_expression());
  }
  return list;
}

ExpressionPtr Parser::parse_dict() {
  ExpressionPtr dict = make(Expression::Kind::dict);
  expect_symbol("{");
  while (!skip_symbol("}")) {
    if (!dict->operands.empty()) {
      expect_symbol(",");
      if (skip_symbol("}")) break;
    }
    dict->operands.push_back(parse_expression());
    expect_symbol(":");
    dict->operands.push_back(parse_expression());
  }
  return dict;
}

ExpressionPtr Parser::parse_tuple(bool in_parentheses, bool with_condition) {
  ExpressionPtr tuple = make(Expression::Kind::tuple);
  bool has_comma = false;
  const auto at_end = [this] {
    return current().kind == Token::Kind::output_end || current().kind == Token::Kind::tag_end ||
           current().is_symbol(")");
  };
  while (!at_end()) {
    tuple->operands.push_back(parse_expression(with_condition));
    if (!skip_symbol(",")) break;
    has_comma = true;
  }
  if (has_comma) return tuple;
  if (!tuple->operands.empty()) return std::move(tuple->operands[0]);
  if (!in_parentheses) fail_expected("an expression");
  return tuple;
}

void Parser::parse_suffixes(ExpressionPtr& value, bool with_filters, bool with_subscripts) {
  std::vector<Suffix> suffixes;
  const int line = current().line;
  while (true) {
    if (with_subscripts && (current().is_symbol(".") || current().is_symbol("["))) {
      suffixes.push_back(parse_subscript());
    } else if (current().is_symbol("(")) {
      Suffix& call = suffixes.emplace_back();
      call.kind = Suffix::Kind::call;
      call.line = current().line;
      call.arguments = parse_arguments();
    } else if (with_filters && skip_symbol("|")) {
      suffixes.push_back(parse_filter());
    } else if (with_filters && skip_name("is")) {
      suffixes.push_back(parse_test());
    } else {
      break;
    }
  }
  if (suffixes.empty()) return;
  if (value->kind != Expression::Kind::suffixed) {
    ExpressionPtr suffixed = make(Expression::Kind::suffixed);
    suffixed->line = line;
    suffixed->operands.push_back(std::move(value));
    value = std::move(suffixed);
  }
  std::move(suffixes.begin(), suffixes.end(), std::back_inserter(value->suffixes));
}

Suffix Parser::parse_subscript() {
  Suffix suffix;
  suffix.line = current().line;
  if (skip_symbol(".")) {
    if (current().kind == Token::Kind::integer) {
      suffix.kind = Suffix::Kind::item;
      suffix.arguments.push_back({Argument::Kind::positional, "", parse_number()});
    } else {
      suffix.name = expect_name("the name of an attribute");
    }
    return suffix;
  }
  expect_symbol("[");
  const Level level(*this);
  suffix.kind = Suffix::Kind::item;
  ExpressionPtr parts[3];
  size_t n = 0;
  while (true) {
    if (current().is_symbol(":")) {
      take();
      suffix.kind = Suffix::Kind::slice;
      if (++n == 3) fail_expected("']'");
    } else if (current().is_symbol("]")) {
      take();
      break;
    } else if (!parts[n]) {
      parts[n] = parse_expression();
    } else {
      fail_expected(current().is_symbol(",") ? "']' (a tuple cannot be a subscript here)" : "']'");
    }
  }
  const bool slice = suffix.kind == Suffix::Kind::slice;
  if (!slice && !parts[0]) fail_at_line(suffix.line, "a subscript is empty");
  for (size_t i = 0; i < (slice ? 3u : 1u); ++i) {
    suffix.arguments.push_back({Argument::Kind::positional, "", std::move(parts[i])});
  }
  return suffix;
}

Suffix Parser::parse_filter() {
  Suffix suffix;
  suffix.kind = Suffix::Kind::filter;
  suffix.line = current().line;
  suffix.name = expect_name("the name of a filter");
  if (current().is_symbol("(")) suffix.arguments = parse_arguments();
  return suffix;
}

Suffix Parser::parse_test() {
  Suffix suffix;
  suffix.kind = skip_name("not") ? Suffix::Kind::test_not : Suffix::Kind::test;
  suffix.line = current().line;
  suffix.name = expect_name("the name of a test");
  if (current().is_symbol("(")) {
    suffix.arguments = parse_arguments();
    return suffix;
  }
  // Without parentheses, the argument of a test is whatever looks like a value after it.
  const Token& token = current();
  const bool value_follows = token.kind == Token::Kind::name || token.kind == Token::Kind::string ||
                             token.kind == Token::Kind::integer || token.kind == Token::Kind::real ||
                             token.is_symbol("[") || token.is_symbol("{");
  if (value_follows && !token.is_name("else") && !token.is_name("or") && !token.is_name("and")) {
    if (token.is_name("is")) fail_at_line(token.line, "a test follows a test, expected 'and' between them");
    suffix.arguments.push_back({Argument::Kind::positional, "", parse_test_argument()});
  }
  return suffix;
}

ExpressionPtr Parser::parse_test_argument() {
  const Level level(*this);
  ExpressionPtr value = parse_primary();
  parse_suffixes(value, false, true);
  return value;
}

std::vector<Argument> Parser::parse_arguments() {
  const Level level(*this);
  std::vector<Argument> arguments;
  expect_symbol("(");
  bool names_began = false;
  while (!skip_symbol(")")) {
    if (!arguments.empty()) {
      expect_symbol(",");
      if (skip_symbol(")")) break;
    }
    Argument argument;
    if (skip_symbol("*")) {
      argument.kind = Argument::Kind::spread_list;
    } else if (skip_symbol("**")) {
      argument.kind = Argument::Kind::spread_dict;
    } else if (current().kind == Token::Kind::name && ahead().is_symbol("=")) {
      argument.kind = Argument::Kind::named;
      argument.name = take().text;
      take();
    }
    const bool positional = argument.kind == Argument::Kind::positional;
    if (positional && names_began) fail_at_line(current().line, "an argument without a name follows one with a name");
    names_began = names_began || !positional;
    argument.value = parse_expression();
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

}  // namespace headroom::jinja
