// The parser, shared by its two halves: statements (parser.cpp) and expressions (expressions.cpp). Do not include it
// elsewhere.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/lexer.h"

namespace headroom::jinja {

class Parser {
 public:
  Parser(std::string_view source, int max_depth);
  Template run();

 private:
  /// Counts one level of nesting during its lifetime.
  class Level {
   public:
    explicit Level(Parser& parser);
    ~Level() { --parser_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Parser& parser_;
  };

  // Tokens.
  const Token& current() const { return tokens_[position_]; }
  const Token& ahead() const { return tokens_[std::min(position_ + 1, tokens_.size() - 1)]; }
  Token take();
  bool skip_symbol(std::string_view symbol);
  bool skip_name(std::string_view name);
  void expect_symbol(std::string_view symbol);
  std::string expect_name(const char* what);
  [[noreturn]] void fail_expected(const std::string& expected) const;
  NameId name_id(const std::string& name);
  ExpressionPtr make(Expression::Kind kind) const;

  // Statements.
  using EndNames = std::initializer_list<std::string_view>;
  Body parse_body(EndNames ends);
  void expect_tag_end();
  void parse_statement(Body& body);
  void parse_condition(Statement& statement);
  void parse_loop(Statement& statement);
  void parse_set(Statement& statement);
  void parse_with(Statement& statement);
  void parse_macro(Statement& statement);
  void parse_call_block(Statement& statement);
  void parse_signature(MacroDefinition& definition);
  void parse_macro_body(Statement& statement, std::string_view end);
  Target parse_target(bool allow_tuple, bool allow_attribute);
  Target parse_one_target(bool allow_attribute);

  // Expressions, lowest precedence first.
  ExpressionPtr parse_expression(bool with_condition = true);
  ExpressionPtr parse_conditional();
  ExpressionPtr parse_any();
  ExpressionPtr parse_all();
  ExpressionPtr parse_not();
  ExpressionPtr parse_compare();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concatenation();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  ExpressionPtr parse_signed(bool with_filters);
  ExpressionPtr parse_primary();
  ExpressionPtr parse_name();
  ExpressionPtr parse_string();
  ExpressionPtr parse_number();
  ExpressionPtr parse_list();
  ExpressionPtr parse_dict();
  /// Parses one expression, or a tuple of several with commas between them. in_parentheses: the tuple may be empty.
  ExpressionPtr parse_tuple(bool in_parentheses, bool with_condition = true);
  void parse_suffixes(ExpressionPtr& value, bool with_filters, bool with_subscripts);
  Suffix parse_subscript();
  Suffix parse_filter();
  Suffix parse_test();
  ExpressionPtr parse_test_argument();
  std::vector<Argument> parse_arguments();

  std::vector<Token> tokens_;
  size_t position_ = 0;
  int max_depth_;
  int depth_ = 0;
  int loop_depth_ = 0;
  Template template_;
  std::map<std::string, NameId> name_ids_;
  std::vector<MacroDefinition*> macros_;  // macros being parsed, innermost last
};

}  // namespace headroom::jinja
