// Walks a template's tree and collects the texts. See literals.h.
#include "engine/text/jinja/literals.h"

namespace headroom::jinja {
namespace {

class Walk {
 public:
  explicit Walk(std::vector<std::string>& found) : found_(found) {}

  void body(const Body& statements) {
    for (const Statement& statement : statements) {
      add(statement.text);
      for (const ExpressionPtr& expression : statement.expressions) walk(expression);
      suffixes(statement.suffixes);
      for (const Body& inner : statement.bodies) body(inner);
      if (statement.definition == nullptr) continue;
      for (const Parameter& parameter : statement.definition->parameters) walk(parameter.default_value);
    }
  }

 private:
  void add(std::string_view text) {
    if (!text.empty()) found_.emplace_back(text);
  }
  void walk(const ExpressionPtr& expression) {
    if (expression == nullptr) return;
    if (expression->constant_text != nullptr) add(expression->constant_text->text.bytes());
    for (const ExpressionPtr& operand : expression->operands) walk(operand);
    suffixes(expression->suffixes);
  }
  void suffixes(const std::vector<Suffix>& list) {
    for (const Suffix& suffix : list)
      for (const Argument& argument : suffix.arguments) walk(argument.value);
  }

  std::vector<std::string>& found_;
};

}  // namespace

std::vector<std::string> find_literals(const Template& tree) {
  std::vector<std::string> found;
  Walk(found).body(tree.body);
  return found;
}

}  // namespace headroom::jinja
