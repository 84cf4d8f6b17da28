// Evaluates the expressions of a chat template. See eval.h.
#include <algorithm>

#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/eval_internal.h"
#include "engine/text/jinja/ops.h"

namespace headroom::jinja {

namespace {

constexpr size_t work_per_scope = 16;

}  // namespace

Value Evaluator::evaluate(const Expression& expression) {
  const Nesting nesting(runtime_);
  runtime_.line = expression.line;
  runtime_.step();
  switch (expression.kind) {
    case Expression::Kind::constant:
      return expression.constant;
    case Expression::Kind::name:
      return evaluate_name(expression.name);
    case Expression::Kind::list:
      return runtime_.make_list(evaluate_all(expression.operands));
    case Expression::Kind::tuple:
      return runtime_.make_tuple(evaluate_all(expression.operands));
    case Expression::Kind::dict:
      return evaluate_dict(expression);
    case Expression::Kind::arithmetic:
      return evaluate_arithmetic(expression);
    case Expression::Kind::concatenate:
      return evaluate_concatenation(expression);
    case Expression::Kind::compare:
      return evaluate_comparison(expression);
    case Expression::Kind::all:
    case Expression::Kind::any: {
      const bool stop_at = expression.kind == Expression::Kind::any;
      Value value;
      for (const ExpressionPtr& operand : expression.operands) {
        value = evaluate(*operand);
        if (truthy(value) == stop_at) break;
      }
      return value;
    }
    case Expression::Kind::negate:
      return negate(runtime_, evaluate(*expression.operands[0]));
    case Expression::Kind::plus: {
      const Value value = evaluate(*expression.operands[0]);
      return negate(runtime_, negate(runtime_, value));
    }
    case Expression::Kind::logical_not:
      return Value::of(!truthy(evaluate(*expression.operands[0])));
    case Expression::Kind::conditional:
      return evaluate_conditional(expression);
    case Expression::Kind::suffixed:
      return evaluate_suffixed(expression, nullptr);
  }
  return Value();
}

Value Evaluator::evaluate_name(NameId name) {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
    runtime_.work(work_per_scope);
    const auto found = scope->variables.find(name);
    if (found != scope->variables.end()) return found->second;
  }
  return runtime_.make_undefined(tree_.names[static_cast<size_t>(name)]);
}

Vector<Value> Evaluator::evaluate_all(const std::vector<ExpressionPtr>& expressions) {
  Vector<Value> values;
  values.reserve(expressions.size());
  for (const ExpressionPtr& expression : expressions) values.push_back(evaluate(*expression));
  return values;
}

Value Evaluator::evaluate_arithmetic(const Expression& expression) {
  Value value = evaluate(*expression.operands[0]);
  for (size_t i = 0; i < expression.operators.size(); ++i) {
    const Value right = evaluate(*expression.operands[i + 1]);
    value = arithmetic(runtime_, static_cast<Arithmetic>(expression.operators[i]), value, right);
  }
  return value;
}

Value Evaluator::evaluate_concatenation(const Expression& expression) {
  Text text;
  for (const ExpressionPtr& operand : expression.operands) {
    const Value part = to_string(runtime_, evaluate(*operand));
    runtime_.charge({&part});
    text.append(part.text());
  }
  return runtime_.make_string(std::move(text));
}

bool Evaluator::compare(Operator op, const Value& a, const Value& b) {
  switch (op) {
    case Operator::equal:
      return equal(runtime_, a, b);
    case Operator::not_equal:
      return !equal(runtime_, a, b);
    case Operator::less:
      return less(runtime_, a, b);
    case Operator::less_equal:
      return less(runtime_, a, b) || equal(runtime_, a, b);
    case Operator::greater:
      return less(runtime_, b, a);
    case Operator::greater_equal:
      return less(runtime_, b, a) || equal(runtime_, a, b);
    case Operator::in:
      return contains(runtime_, b, a);
    case Operator::not_in:
      return !contains(runtime_, b, a);
    default:
      return false;
  }
}

Value Evaluator::evaluate_comparison(const Expression& expression) {
  Value left = evaluate(*expression.operands[0]);
  for (size_t i = 0; i < expression.operators.size(); ++i) {
    const Value right = evaluate(*expression.operands[i + 1]);
    if (!compare(expression.operators[i], left, right)) return Value::of(false);
    left = right;
  }
  return Value::of(true);
}

Value Evaluator::evaluate_dict(const Expression& expression) {
  Dict* dict = runtime_.make<Dict>();
  for (size_t i = 0; i < expression.operands.size(); i += 2) {
    const Value key = evaluate(*expression.operands[i]);
    set_entry(runtime_, *dict, key, evaluate(*expression.operands[i + 1]));
  }
  return Value(dict);
}

Value Evaluator::evaluate_conditional(const Expression& expression) {
  if (truthy(evaluate(*expression.operands[0]))) return evaluate(*expression.operands[1]);
  if (expression.operands.size() > 2) return evaluate(*expression.operands[2]);
  return runtime_.make_undefined("an inline if without else");
}

Value Evaluator::evaluate_suffixed(const Expression& expression, const Value* caller) {
  Value value = evaluate(*expression.operands[0]);
  for (const Suffix& suffix : expression.suffixes) {
    const bool last = &suffix == &expression.suffixes.back();
    value = apply_suffix(suffix, value, last ? caller : nullptr);
  }
  return value;
}

Value Evaluator::apply_suffix(const Suffix& suffix, const Value& value, const Value* extra_caller) {
  runtime_.line = suffix.line;
  runtime_.step();
  const auto part = [&](size_t i) {
    return suffix.arguments[i].value ? evaluate(*suffix.arguments[i].value) : Value::none();
  };
  switch (suffix.kind) {
    case Suffix::Kind::attribute:
      return get_attribute(runtime_, value, suffix.name);
    case Suffix::Kind::item:
      return get_item(runtime_, value, part(0));
    case Suffix::Kind::slice: {
      const Value start = part(0);
      const Value stop = part(1);
      return get_slice(runtime_, value, start, stop, part(2));
    }
    case Suffix::Kind::call: {
      CallArgs args = evaluate_arguments(suffix.arguments);
      if (extra_caller != nullptr) args.named.emplace_back(runtime_.make_string("caller"), *extra_caller);
      runtime_.line = suffix.line;
      return call(value, args);
    }
    case Suffix::Kind::filter: {
      const CallArgs args = evaluate_arguments(suffix.arguments);
      runtime_.line = suffix.line;
      return apply_filter(runtime_, suffix.name, value, args);
    }
    case Suffix::Kind::test:
    case Suffix::Kind::test_not: {
      const CallArgs args = evaluate_arguments(suffix.arguments);
      runtime_.line = suffix.line;
      const bool holds = apply_test(runtime_, suffix.name, value, args);
      return Value::of(holds == (suffix.kind == Suffix::Kind::test));
    }
  }
  return Value();
}

CallArgs Evaluator::evaluate_arguments(const std::vector<Argument>& arguments) {
  CallArgs args;
  for (const Argument& argument : arguments) {
    const Value value = evaluate(*argument.value);
    switch (argument.kind) {
      case Argument::Kind::positional:
        args.positional.push_back(value);
        break;
      case Argument::Kind::named:
        args.named.emplace_back(runtime_.make_string(argument.name), value);
        break;
      case Argument::Kind::spread_list: {
        const Vector<Value> items = items_of(runtime_, value);
        args.positional.insert(args.positional.end(), items.begin(), items.end());
        break;
      }
      case Argument::Kind::spread_dict:
        if (!value.is(Type::dict)) runtime_.fail("'**' needs a dict, found " + type_name(value));
        for (const auto& [key, entry] : value.dict().entries) {
          runtime_.step();
          if (!key.is(Type::string)) runtime_.fail("the names of arguments are strings, found " + type_name(key));
          args.named.emplace_back(key, entry);
        }
        break;
    }
  }
  return args;
}

Value Evaluator::call(const Value& function, const CallArgs& args) {
  if (function.is(Type::undefined))
    return get_attribute(runtime_, function, "call");  // fails and names the undefined variable
  if (!function.is(Type::callable)) runtime_.fail("a value of type " + type_name(function) + " cannot be called");
  return function.callable().call(runtime_, args);
}

}  // namespace headroom::jinja
