// Tokens ─► statements of a chat template. See parser.h.
#include "engine/text/jinja/parser.h"

#include <algorithm>

#include "engine/text/jinja/parser_internal.h"

namespace headroom::jinja {

Template parse_template(std::string_view source, int max_depth) {
  return Parser(source, max_depth).run();
}

Parser::Parser(std::string_view source, int max_depth) : tokens_(tokenize_template(source)), max_depth_(max_depth) {
  template_.known = {name_id("loop"), name_id("caller"), name_id("varargs"), name_id("kwargs")};
}

Template Parser::run() {
  template_.body = parse_body({});
  return std::move(template_);
}

Parser::Level::Level(Parser& parser) : parser_(parser) {
  if (parser.depth_ >= parser.max_depth_) {
    fail_at_line(parser.current().line,
                 "the template is nested deeper than " + std::to_string(parser.max_depth_) + " levels");
  }
  ++parser.depth_;
}

Token Parser::take() {
  Token token = current();
  if (token.kind != Token::Kind::end) ++position_;
  return token;
}

bool Parser::skip_symbol(std::string_view symbol) {
  if (!current().is_symbol(symbol)) return false;
  ++position_;
  return true;
}

bool Parser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  ++position_;
  return true;
}

void Parser::expect_symbol(std::string_view symbol) {
  if (!skip_symbol(symbol)) fail_expected("'" + std::string(symbol) + "'");
}

std::string Parser::expect_name(const char* what) {
  if (current().kind != Token::Kind::name) fail_expected(what);
  return take().text;
}

void Parser::fail_expected(const std::string& expected) const {
  std::string found;
  switch (current().kind) {
    case Token::Kind::data:
      found = "text";
      break;
    case Token::Kind::output_begin:
      found = "'{{'";
      break;
    case Token::Kind::output_end:
      found = "'}}'";
      break;
    case Token::Kind::tag_begin:
      found = "'{%'";
      break;
    case Token::Kind::tag_end:
      found = "'%}'";
      break;
    case Token::Kind::end:
      found = "the end of the template";
      break;
    case Token::Kind::string:
      found = "a string";
      break;
    default:
      found = "'" + current().text.substr(0, 100) + "'";
      break;
  }
  fail_at_line(current().line, "found " + found + ", expected " + expected);
}

NameId Parser::name_id(const std::string& name) {
  const auto [place, added] = name_ids_.try_emplace(name, static_cast<NameId>(template_.names.size()));
  if (added) template_.names.push_back(name);
  return place->second;
}

ExpressionPtr Parser::make(Expression::Kind kind) const {
  auto expression = std::make_unique<Expression>();
  expression->kind = kind;
  expression->line = current().line;
  return expression;
}

/// Parses statements up to a tag that begins with one of the names; that name stays the current token. Without names,
/// parses to the end of the template.
Body Parser::parse_body(EndNames ends) {
  const Level level(*this);
  Body body;
  while (true) {
    const Token token = take();
    switch (token.kind) {
      case Token::Kind::data: {
        Statement& statement = body.emplace_back();
        statement.line = token.line;
        statement.text = token.text;
        break;
      }
      case Token::Kind::output_begin: {
        Statement& statement = body.emplace_back();
        statement.kind = Statement::Kind::output;
        statement.line = token.line;
        statement.expressions.push_back(parse_tuple(false));
        if (current().kind != Token::Kind::output_end) fail_expected("'}}'");
        take();
        break;
      }
      case Token::Kind::tag_begin:
        if (current().kind == Token::Kind::name &&
            std::find(ends.begin(), ends.end(), std::string_view(current().text)) != ends.end()) {
          return body;
        }
        parse_statement(body);
        break;
      default:
        if (ends.size() == 0) return body;
        fail_expected("'{% " + std::string(*(ends.end() - 1)) + " %}'");
    }
  }
}

void Parser::expect_tag_end() {
  if (current().kind != Token::Kind::tag_end) fail_expected("'%}'");
  take();
}

void Parser::parse_statement(Body& body) {
  Statement statement;
  statement.line = current().line;
  const std::string keyword = expect_name("a statement");
  if (keyword == "if") {
    parse_condition(statement);
  } else if (keyword == "for") {
    parse_loop(statement);
  } else if (keyword == "set") {
    parse_set(statement);
  } else if (keyword == "with") {
    parse_with(statement);
  } else if (keyword == "macro") {
    parse_macro(statement);
  } else if (keyword == "call") {
    parse_call_block(statement);
  } else if (keyword == "filter") {
    statement.kind = Statement::Kind::filter_block;
    statement.suffixes.push_back(parse_filter());
    while (skip_symbol("|")) statement.suffixes.push_back(parse_filter());
    expect_tag_end();
    statement.bodies.push_back(parse_body({"endfilter"}));
    take();
  } else if (keyword == "generation") {
    // transformers uses this block to mark the assistant's text. For rendering it is only a scope.
    statement.kind = Statement::Kind::scope;
    expect_tag_end();
    const int outer_loops = std::exchange(loop_depth_, 0);
    statement.bodies.push_back(parse_body({"endgeneration"}));
    loop_depth_ = outer_loops;
    take();
  } else if (keyword == "break" || keyword == "continue") {
    if (loop_depth_ == 0) fail_at_line(statement.line, "found '" + keyword + "' outside of a loop");
    statement.kind = keyword == "break" ? Statement::Kind::break_loop : Statement::Kind::continue_loop;
  } else {
    static constexpr std::string_view others[] = {"include", "import", "from",       "extends",
                                                  "block",   "do",     "autoescape", "trans"};
    if (std::find(std::begin(others), std::end(others), keyword) != std::end(others)) {
      fail_unsupported_at_line(statement.line, "the statement '" + keyword + "'");
    }
    fail_at_line(statement.line, "found the statement '" + keyword.substr(0, 100) + "', expected one of Jinja's");
  }
  expect_tag_end();
  body.push_back(std::move(statement));
}

void Parser::parse_condition(Statement& statement) {
  statement.kind = Statement::Kind::condition;
  do {
    statement.expressions.push_back(parse_tuple(false, false));
    skip_symbol(":");
    expect_tag_end();
    statement.bodies.push_back(parse_body({"elif", "else", "endif"}));
  } while (skip_name("elif"));
  if (skip_name("else")) {
    skip_symbol(":");
    expect_tag_end();
    statement.bodies.push_back(parse_body({"endif"}));
  }
  take();
}

void Parser::parse_loop(Statement& statement) {
  statement.kind = Statement::Kind::loop;
  statement.targets.push_back(parse_target(true, false));
  if (!skip_name("in")) fail_expected("'in'");
  statement.expressions.push_back(parse_tuple(false, false));
  statement.expressions.push_back(skip_name("if") ? parse_expression() : nullptr);
  statement.recursive = skip_name("recursive");
  skip_symbol(":");
  expect_tag_end();
  ++loop_depth_;
  statement.bodies.push_back(parse_body({"else", "endfor"}));
  --loop_depth_;
  Body otherwise;
  if (skip_name("else")) {
    skip_symbol(":");
    expect_tag_end();
    otherwise = parse_body({"endfor"});
  }
  statement.bodies.push_back(std::move(otherwise));
  take();
}

void Parser::parse_set(Statement& statement) {
  statement.targets.push_back(parse_target(true, true));
  if (skip_symbol("=")) {
    statement.kind = Statement::Kind::set;
    statement.expressions.push_back(parse_tuple(false));
    return;
  }
  statement.kind = Statement::Kind::set_block;
  while (skip_symbol("|")) statement.suffixes.push_back(parse_filter());
  expect_tag_end();
  statement.bodies.push_back(parse_body({"endset"}));
  take();
}

void Parser::parse_with(Statement& statement) {
  statement.kind = Statement::Kind::scope;
  while (current().kind != Token::Kind::tag_end) {
    if (!statement.targets.empty()) expect_symbol(",");
    statement.targets.push_back(parse_target(false, false));
    expect_symbol("=");
    statement.expressions.push_back(parse_expression());
  }
  expect_tag_end();
  statement.bodies.push_back(parse_body({"endwith"}));
  take();
}

void Parser::parse_macro(Statement& statement) {
  statement.kind = Statement::Kind::macro;
  statement.definition = std::make_unique<MacroDefinition>();
  statement.definition->name = expect_name("the name of a macro");
  statement.definition->name_id = name_id(statement.definition->name);
  parse_signature(*statement.definition);
  parse_macro_body(statement, "endmacro");
}

void Parser::parse_call_block(Statement& statement) {
  statement.kind = Statement::Kind::call_block;
  statement.definition = std::make_unique<MacroDefinition>();
  statement.definition->name = "caller";
  if (current().is_symbol("(")) parse_signature(*statement.definition);
  ExpressionPtr call = parse_expression();
  if (call->kind != Expression::Kind::suffixed || call->suffixes.back().kind != Suffix::Kind::call) {
    fail_at_line(statement.line, "a call block needs the call of a macro");
  }
  statement.expressions.push_back(std::move(call));
  parse_macro_body(statement, "endcall");
}

void Parser::parse_signature(MacroDefinition& definition) {
  const Level level(*this);
  expect_symbol("(");
  while (!skip_symbol(")")) {
    if (!definition.parameters.empty()) expect_symbol(",");
    Parameter parameter;
    parameter.text = expect_name("the name of a parameter");
    parameter.name = name_id(parameter.text);
    if (skip_symbol("=")) {
      parameter.default_value = parse_expression();
    } else if (!definition.parameters.empty() && definition.parameters.back().default_value) {
      fail_at_line(current().line,
                   "the parameter '" + parameter.text + "' needs a default, as the one before it has one");
    }
    definition.parameters.push_back(std::move(parameter));
  }
}

void Parser::parse_macro_body(Statement& statement, std::string_view end) {
  expect_tag_end();
  macros_.push_back(statement.definition.get());
  const int outer_loops = std::exchange(loop_depth_, 0);
  statement.bodies.push_back(parse_body({end}));
  loop_depth_ = outer_loops;
  macros_.pop_back();
  take();
}

Target Parser::parse_target(bool allow_tuple, bool allow_attribute) {
  Target first = parse_one_target(allow_attribute);
  if (!allow_tuple || !current().is_symbol(",")) return first;
  Target tuple;
  tuple.kind = Target::Kind::tuple;
  tuple.parts.push_back(std::move(first));
  while (skip_symbol(",")) {
    const bool ends = current().kind == Token::Kind::tag_end || current().is_symbol("=") || current().is_symbol(")") ||
                      current().is_name("in");
    if (ends) break;
    tuple.parts.push_back(parse_one_target(allow_attribute));
  }
  return tuple;
}

Target Parser::parse_one_target(bool allow_attribute) {
  if (skip_symbol("(")) {
    const Level level(*this);
    Target target = parse_target(true, false);
    expect_symbol(")");
    return target;
  }
  Target target;
  target.text = expect_name("the name of a variable");
  static constexpr std::string_view constants[] = {"true", "false", "none", "True", "False", "None"};
  if (std::find(std::begin(constants), std::end(constants), target.text) != std::end(constants)) {
    fail_at_line(current().line, "the constant '" + target.text + "' cannot be set");
  }
  target.name = name_id(target.text);
  if (allow_attribute && skip_symbol(".")) {
    target.kind = Target::Kind::attribute;
    target.text = expect_name("the name of an attribute");
  }
  return target;
}

}  // namespace headroom::jinja
