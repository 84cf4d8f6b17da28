// Evaluates the statements of a chat template. See eval.h.
#include "engine/text/jinja/eval.h"

#include <algorithm>

#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/eval_internal.h"
#include "engine/text/jinja/ops.h"

namespace headroom::jinja {

Text render_template(Runtime& runtime, const Template& tree, const Variables& variables) {
  return Evaluator(runtime, tree).run(variables);
}

Text Evaluator::run(const Variables& variables) {
  std::map<std::string_view, NameId> ids;
  for (size_t i = 0; i < tree_.names.size(); ++i) ids.emplace(tree_.names[i], static_cast<NameId>(i));
  const Ref<Scope> globals(runtime_.make<Scope>(nullptr));
  for (const auto& [name, value] : variables) {
    const auto id = ids.find(name);
    if (id != ids.end()) globals->variables[id->second] = value;
  }
  scope_ = Ref<Scope>(runtime_.make<Scope>(globals));
  Text output;
  output_ = root_output_ = &output;
  execute(tree_.body);
  return output;
}

void Evaluator::count_output(size_t bytes) {
  if (output_ == root_output_ && bytes > runtime_.limits.max_output_bytes - output_->size()) {
    runtime_.fail("the template was stopped when its text grew over " +
                  std::to_string(runtime_.limits.max_output_bytes >> 10) + " KiB");
  }
}

void Evaluator::write(std::string_view bytes) {
  count_output(bytes.size());
  output_->append(bytes);
}

void Evaluator::write(const Text& text) {
  count_output(text.size());
  output_->append(text);
}

Evaluator::Flow Evaluator::execute(const Body& body) {
  const Nesting nesting(runtime_);
  for (const Statement& statement : body) {
    const Flow flow = execute(statement);
    if (flow != Flow::normal) return flow;
  }
  return Flow::normal;
}

Evaluator::Flow Evaluator::execute(const Statement& statement) {
  runtime_.line = statement.line;
  runtime_.step();
  Flow flow = Flow::normal;
  switch (statement.kind) {
    case Statement::Kind::text:
      write(statement.text);
      break;
    case Statement::Kind::output:
      write(to_text(runtime_, evaluate(*statement.expressions[0])));
      break;
    case Statement::Kind::condition:
      return execute_condition(statement);
    case Statement::Kind::loop:
      return execute_loop(statement, evaluate(*statement.expressions[0]), 1);
    case Statement::Kind::set:
      assign(statement.targets[0], evaluate(*statement.expressions[0]));
      break;
    case Statement::Kind::set_block: {
      const Value text = capture(statement.bodies[0], flow);
      if (flow == Flow::normal) assign(statement.targets[0], apply_filters(statement.suffixes, text));
      return flow;
    }
    case Statement::Kind::macro:
      scope_->variables[statement.definition->name_id] =
          Value(runtime_.make<Macro>(*this, *statement.definition, statement.bodies[0], scope_));
      break;
    case Statement::Kind::call_block: {
      const Value caller(runtime_.make<Macro>(*this, *statement.definition, statement.bodies[0], scope_));
      write(to_text(runtime_, evaluate_suffixed(*statement.expressions[0], &caller)));
      break;
    }
    case Statement::Kind::filter_block: {
      const Value text = capture(statement.bodies[0], flow);
      if (flow == Flow::normal) write(to_text(runtime_, apply_filters(statement.suffixes, text)));
      return flow;
    }
    case Statement::Kind::scope:
      return execute_scope(statement);
    case Statement::Kind::break_loop:
      return Flow::break_loop;
    case Statement::Kind::continue_loop:
      return Flow::continue_loop;
  }
  return Flow::normal;
}

Ref<Scope> Evaluator::make_scope(const Ref<Scope>& parent) {
  return Ref<Scope>(runtime_.make<Scope>(parent));
}

Evaluator::Flow Evaluator::execute_condition(const Statement& statement) {
  for (size_t i = 0; i < statement.bodies.size(); ++i) {
    const bool is_else = i == statement.expressions.size();
    if (is_else || truthy(evaluate(*statement.expressions[i]))) return execute(statement.bodies[i]);
  }
  return Flow::normal;
}

Evaluator::Flow Evaluator::execute_loop(const Statement& statement, const Value& iterable, int depth) {
  Vector<Value> items = items_of(runtime_, iterable);
  const Ref<Scope> outer = scope_;
  const Replace inner(scope_, make_scope(outer));
  if (statement.expressions[1]) {
    Vector<Value> chosen;
    for (const Value& item : items) {
      runtime_.step();
      assign(statement.targets[0], item);
      if (truthy(evaluate(*statement.expressions[1]))) chosen.push_back(item);
    }
    items = std::move(chosen);
  }
  const Ref<Loop> loop(runtime_.make<Loop>(*this, statement, outer, std::move(items), depth));
  return execute_loop_body(statement, *loop);
}

Evaluator::Flow Evaluator::execute_loop_body(const Statement& statement, Loop& loop) {
  // Jinja's rule: the else branch runs unless an iteration reached the end of the body.
  bool completed_a_round = false;
  for (; loop.position < loop.items.size(); ++loop.position) {
    runtime_.step();
    scope_->variables.clear();
    scope_->variables[tree_.known.loop] = Value(&loop);
    assign(statement.targets[0], loop.items[loop.position]);
    const Flow flow = execute(statement.bodies[0]);
    if (flow == Flow::break_loop) break;
    if (flow == Flow::normal) completed_a_round = true;
  }
  if (completed_a_round || statement.bodies[1].empty()) return Flow::normal;
  const Replace outside(scope_, make_scope(loop.scope));
  return execute(statement.bodies[1]);
}

Evaluator::Flow Evaluator::execute_scope(const Statement& statement) {
  const Vector<Value> values = evaluate_all(statement.expressions);
  const Replace inner(scope_, make_scope(scope_));
  for (size_t i = 0; i < values.size(); ++i) assign(statement.targets[i], values[i]);
  return execute(statement.bodies[0]);
}

Value Evaluator::capture(const Body& body, Flow& flow) {
  Text text;
  const Replace inner_output(output_, &text);
  const Replace inner(scope_, make_scope(scope_));
  flow = execute(body);
  return runtime_.make_string(std::move(text));
}

Value Evaluator::apply_filters(const std::vector<Suffix>& filters, Value value) {
  for (const Suffix& filter : filters) value = apply_suffix(filter, value, nullptr);
  return value;
}

void Evaluator::assign(const Target& target, const Value& value) {
  switch (target.kind) {
    case Target::Kind::name:
      scope_->variables[target.name] = value;
      break;
    case Target::Kind::attribute: {
      const Value space = evaluate_name(target.name);
      if (!space.is(Type::name_space)) {
        runtime_.fail("the attribute '" + target.text + "' can be set on a namespace only, found " + type_name(space));
      }
      set_entry(runtime_, space.dict(), runtime_.make_string(target.text), value);
      break;
    }
    case Target::Kind::tuple: {
      const Vector<Value> items = items_of(runtime_, value);
      if (items.size() != target.parts.size()) {
        runtime_.fail("found " + std::to_string(items.size()) + " values to unpack, expected " +
                      std::to_string(target.parts.size()));
      }
      for (size_t i = 0; i < items.size(); ++i) {
        runtime_.step();
        assign(target.parts[i], items[i]);
      }
      break;
    }
  }
}

Value Evaluator::call_macro(const Macro& macro, const CallArgs& args) {
  const MacroDefinition& definition = macro.definition;
  if (runtime_.call_depth >= runtime_.limits.max_depth) {
    runtime_.fail("calls of macros are nested deeper than " + std::to_string(runtime_.limits.max_depth) + " levels");
  }
  const Replace deeper(runtime_.call_depth, runtime_.call_depth + 1);
  const int line = runtime_.line;
  const size_t n_parameters = definition.parameters.size();
  const size_t n_given = std::min(args.positional.size(), n_parameters);
  const std::string title = "the macro '" + definition.name + "'";
  Text text;
  const Replace inner_output(output_, &text);
  const Replace inner(scope_, make_scope(macro.scope));
  Vector<std::pair<Value, Value>> named = args.named;
  const auto take_named = [&](std::string_view name) -> std::optional<Value> {
    runtime_.step();
    runtime_.work((1 + named.size()) * sizeof(named[0]));
    const auto found = std::find_if(named.begin(), named.end(), [&](const auto& n) { return n.first.bytes() == name; });
    if (found == named.end()) return std::nullopt;
    const Value value = found->second;
    named.erase(found);
    return value;
  };
  Vector<std::optional<Value>> given(n_parameters);
  std::copy_n(args.positional.begin(), n_given, given.begin());
  for (size_t i = n_given; i < n_parameters; ++i) given[i] = take_named(definition.parameters[i].text);
  if (definition.uses_caller) {
    scope_->variables[tree_.known.caller] = take_named("caller").value_or(runtime_.make_undefined("caller"));
  }
  if (definition.uses_kwargs) {
    Dict* rest = runtime_.make<Dict>();
    for (const auto& [key, value] : named) set_entry(runtime_, *rest, key, value);
    scope_->variables[tree_.known.kwargs] = Value(rest);
  } else if (!named.empty()) {
    runtime_.fail(title + " has no parameter '" + shown(named[0].first.bytes()) + "'");
  }
  if (definition.uses_varargs) {
    const auto rest = args.positional.begin() + static_cast<std::ptrdiff_t>(n_given);
    scope_->variables[tree_.known.varargs] = runtime_.make_tuple(Vector<Value>(rest, args.positional.end()));
  } else if (args.positional.size() > n_parameters) {
    runtime_.fail(title + " takes at most " + std::to_string(n_parameters) + " arguments, found " +
                  std::to_string(args.positional.size()));
  }
  for (size_t i = 0; i < n_parameters; ++i) {
    const Parameter& parameter = definition.parameters[i];
    runtime_.step();
    scope_->variables[parameter.name] = given[i]                  ? *given[i]
                                        : parameter.default_value ? evaluate(*parameter.default_value)
                                                                  : runtime_.make_undefined(parameter.text);
  }
  execute(macro.body);
  runtime_.line = line;
  return runtime_.make_string(std::move(text));
}

Value Evaluator::call_loop(const Loop& loop, const Value& iterable) {
  if (!loop.statement.recursive) runtime_.fail("the loop is called but not declared 'recursive'");
  if (runtime_.call_depth >= runtime_.limits.max_depth) {
    runtime_.fail("a recursive loop is nested deeper than " + std::to_string(runtime_.limits.max_depth) + " levels");
  }
  const Replace deeper(runtime_.call_depth, runtime_.call_depth + 1);
  Text text;
  const Replace inner_output(output_, &text);
  const Replace outer(scope_, loop.scope);
  execute_loop(loop.statement, iterable, loop.depth + 1);
  return runtime_.make_string(std::move(text));
}

Value Macro::call(Runtime&, const CallArgs& args) const {
  return evaluator.call_macro(*this, args);
}

std::optional<Value> Macro::attribute(Runtime& runtime, std::string_view name) const {
  if (name == "name") return runtime.make_string(definition.name);
  return std::nullopt;
}

Value Loop::call(Runtime& runtime, const CallArgs& args) const {
  const Bound bound(runtime, args, "loop", {"iterable"}, 1);
  return evaluator.call_loop(*this, bound.get(0));
}

std::optional<Value> Loop::attribute(Runtime& runtime, std::string_view name) const {
  const auto i = static_cast<int64_t>(position);
  const auto n = static_cast<int64_t>(items.size());
  if (name == "index") return Value::of(i + 1);
  if (name == "index0") return Value::of(i);
  if (name == "revindex") return Value::of(n - i);
  if (name == "revindex0") return Value::of(n - i - 1);
  if (name == "first") return Value::of(i == 0);
  if (name == "last") return Value::of(i == n - 1);
  if (name == "length") return Value::of(n);
  if (name == "depth") return Value::of(int64_t{depth});
  if (name == "depth0") return Value::of(int64_t{depth} - 1);
  if (name == "previtem") return i > 0 ? items[position - 1] : runtime.make_undefined("previtem");
  if (name == "nextitem") return i + 1 < n ? items[position + 1] : runtime.make_undefined("nextitem");
  if (name == "cycle") return Value(runtime.make<BuiltinFunction>(cycle, Value(this)));
  if (name == "changed") return Value(runtime.make<BuiltinFunction>(changed, Value(this)));
  return std::nullopt;
}

Value Loop::cycle(Runtime& runtime, const Value& self, const CallArgs& args) {
  if (args.positional.empty() || !args.named.empty()) runtime.fail("loop.cycle takes at least one value");
  const auto& loop = static_cast<const Loop&>(self.callable());
  return args.positional[loop.position % args.positional.size()];
}

Value Loop::changed(Runtime& runtime, const Value& self, const CallArgs& args) {
  const auto& loop = static_cast<const Loop&>(self.callable());
  const Value now = runtime.make_tuple(args.positional);
  const bool same = loop.last_changed && equal(runtime, *loop.last_changed, now);
  loop.last_changed = now;
  return Value::of(!same);
}

}  // namespace headroom::jinja
