// A parsed chat template: expressions and statements as plain trees. The parser builds it, the evaluator walks it.
// Chains (a + b + c, a.b.c|d|e, if … elif …) are flat. So the depth of the tree is the nesting that its author wrote.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/value.h"

namespace headroom::jinja {

/// Variables are numbered in the order in which the parser first finds their names.
using NameId = int;

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Argument {
  enum class Kind { positional, named, spread_list, spread_dict };
  Kind kind = Kind::positional;
  std::string name;
  ExpressionPtr value;
};

/// An operation after a value: .name, [key], [start:stop:step], (arguments), |filter(arguments), is test(arguments).
struct Suffix {
  enum class Kind { attribute, item, slice, call, filter, test, test_not };
  Kind kind = Kind::attribute;
  int line = 0;
  std::string name;
  std::vector<Argument> arguments;  // item: one; slice: three, null if omitted
};

enum class Operator {
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  power,  // up to here the order of Arithmetic
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in,
};

struct Expression {
  enum class Kind {
    constant,
    name,
    list,
    tuple,
    dict,         // operands: key, value, key, value, …
    arithmetic,   // operands[0] op[0] operands[1] op[1] …, from left to right
    concatenate,  // operands joined as text
    compare,      // operands and operators like arithmetic; true if every comparison is true
    all,          // and
    any,          // or
    negate,
    plus,
    logical_not,
    conditional,  // operands: condition, then, else (may be missing)
    suffixed,     // operands[0], then its suffixes
  };
  Kind kind = Kind::constant;
  int line = 0;
  NameId name = 0;
  std::unique_ptr<StringObject> constant_text;  // owns the text of a string constant
  Value constant;
  std::vector<ExpressionPtr> operands;
  std::vector<Operator> operators;
  std::vector<Suffix> suffixes;
};

/// The target of an assignment: a name, an attribute of a namespace, or several targets.
struct Target {
  enum class Kind { name, attribute, tuple };
  Kind kind = Kind::name;
  NameId name = 0;
  std::string text;  // the name or the attribute
  std::vector<Target> parts;
};

struct Statement;
using Body = std::vector<Statement>;

struct Parameter {
  NameId name = 0;
  std::string text;
  ExpressionPtr default_value;  // null: none
};

/// A macro, or the body of a call block or a generation block.
struct MacroDefinition {
  std::string name;
  NameId name_id = 0;
  std::vector<Parameter> parameters;
  bool uses_caller = false;
  bool uses_varargs = false;
  bool uses_kwargs = false;
};

struct Statement {
  enum class Kind {
    text,
    output,        // expressions[0]
    condition,     // runs bodies[i] if expressions[i] is the first true one; an extra body is the else branch
    loop,          // target; expressions: iterable, filter (may be null); bodies: body, else
    set,           // target = expressions[0]
    set_block,     // target = output of bodies[0], with the filters in suffixes applied
    macro,         // definition, bodies[0]
    call_block,    // definition (the caller), expressions[0]: the call, bodies[0]
    filter_block,  // output of bodies[0], with the filters in suffixes applied
    scope,         // with, generation: targets = expressions, bodies[0]
    break_loop,
    continue_loop,
  };
  Kind kind = Kind::text;
  int line = 0;
  std::string text;
  bool recursive = false;  // loops only: loop(…) runs the same body over another iterable
  std::vector<ExpressionPtr> expressions;
  std::vector<Target> targets;
  std::vector<Suffix> suffixes;
  std::vector<Body> bodies;
  std::unique_ptr<MacroDefinition> definition;
};

/// Names that the evaluator itself sets or reads.
struct KnownNames {
  NameId loop, caller, varargs, kwargs;
};

struct Template {
  Body body;
  std::vector<std::string> names;  // by NameId
  KnownNames known{};
};

}  // namespace headroom::jinja
