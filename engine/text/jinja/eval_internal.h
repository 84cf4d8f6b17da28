// The evaluator, shared by its two halves: statements (eval.cpp) and expressions (eval_expressions.cpp). Do not include
// it elsewhere.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/eval.h"
#include "engine/text/jinja/value.h"

namespace headroom::jinja {

class Evaluator;

/// The variables of one block. A macro keeps the scope in which it was defined.
struct Scope : Object {
  explicit Scope(Ref<Scope> p) : parent(std::move(p)) {}
  void drop() override {
    variables.clear();
    parent = nullptr;
  }
  Ref<Scope> parent;
  std::map<NameId, Value, std::less<>, CountedAllocator<std::pair<const NameId, Value>>> variables;
};

/// A macro, or the `caller` of a call block.
struct Macro : Callable {
  Macro(Evaluator& e, const MacroDefinition& d, const Body& b, Ref<Scope> s)
      : evaluator(e), definition(d), body(b), scope(std::move(s)) {}
  void drop() override { scope = nullptr; }
  Value call(Runtime& runtime, const CallArgs& args) const override;
  std::optional<Value> attribute(Runtime& runtime, std::string_view name) const override;
  Evaluator& evaluator;
  const MacroDefinition& definition;
  const Body& body;
  Ref<Scope> scope;
};

/// The variable `loop`.
struct Loop : Callable {
  Loop(Evaluator& e, const Statement& s, Ref<Scope> outer, Vector<Value> v, int d)
      : evaluator(e), statement(s), scope(std::move(outer)), items(std::move(v)), depth(d) {}
  void drop() override {
    scope = nullptr;
    items.clear();
    last_changed.reset();
  }
  /// loop(iterable) in a recursive loop: runs the same loop over other items.
  Value call(Runtime& runtime, const CallArgs& args) const override;
  std::optional<Value> attribute(Runtime& runtime, std::string_view name) const override;
  static Value cycle(Runtime& runtime, const Value& self, const CallArgs& args);
  static Value changed(Runtime& runtime, const Value& self, const CallArgs& args);
  Evaluator& evaluator;
  const Statement& statement;
  Ref<Scope> scope;
  Vector<Value> items;
  size_t position = 0;
  int depth;
  mutable std::optional<Value> last_changed;
};

class Evaluator {
 public:
  Evaluator(Runtime& runtime, const Template& tree) : runtime_(runtime), tree_(tree) {}
  Text run(const Variables& variables);

  Value call_macro(const Macro& macro, const CallArgs& args);
  Value call_loop(const Loop& loop, const Value& iterable);

 private:
  enum class Flow { normal, break_loop, continue_loop };

  /// Replaces a variable's value until the end of the C++ block.
  template <class T>
  class Replace {
   public:
    Replace(T& place, T value) : place_(place), old_(std::exchange(place, std::move(value))) {}
    ~Replace() { place_ = std::move(old_); }
    Replace(const Replace&) = delete;
    Replace& operator=(const Replace&) = delete;

   private:
    T& place_;
    T old_;
  };

  // Statements.
  Flow execute(const Body& body);
  Flow execute(const Statement& statement);
  Flow execute_condition(const Statement& statement);
  Flow execute_loop(const Statement& statement, const Value& iterable, int depth);
  Flow execute_loop_body(const Statement& statement, Loop& loop);
  Flow execute_scope(const Statement& statement);
  /// Executes a body and returns its output as a value; `flow` is set to how the body ended.
  Value capture(const Body& body, Flow& flow);
  void write(std::string_view bytes);
  void write(const Text& text);
  void count_output(size_t bytes);
  void assign(const Target& target, const Value& value);
  Ref<Scope> make_scope(const Ref<Scope>& parent);
  Value apply_filters(const std::vector<Suffix>& filters, Value value);

  // Expressions.
  Value evaluate(const Expression& expression);
  Value evaluate_name(NameId name);
  Value evaluate_arithmetic(const Expression& expression);
  Value evaluate_concatenation(const Expression& expression);
  bool compare(Operator op, const Value& a, const Value& b);
  Value evaluate_comparison(const Expression& expression);
  Value evaluate_dict(const Expression& expression);
  Value evaluate_conditional(const Expression& expression);
  Value apply_suffix(const Suffix& suffix, const Value& value, const Value* extra_caller);
  Value evaluate_suffixed(const Expression& expression, const Value* caller);
  CallArgs evaluate_arguments(const std::vector<Argument>& arguments);
  Value call(const Value& function, const CallArgs& args);
  Vector<Value> evaluate_all(const std::vector<ExpressionPtr>& expressions);

  Runtime& runtime_;
  const Template& tree_;
  Ref<Scope> scope_;
  Text* output_ = nullptr;
  Text* root_output_ = nullptr;
};

}  // namespace headroom::jinja
