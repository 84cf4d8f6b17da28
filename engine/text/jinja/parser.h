// Source of a chat template ─► tree. This is the second step of the interpreter; knows the grammar, not the meaning of
// functions.
#pragma once

#include <string_view>

#include "engine/text/jinja/ast.h"

namespace headroom::jinja {

/// Throws Error(bad_input) for invalid Jinja and Error(unsupported) for unsupported statements, with the line. Names of
/// filters, tests and methods are looked up only when they are evaluated, because some templates rely on it.
/// max_depth: limit of nested brackets, signs and blocks.
Template parse_template(std::string_view source, int max_depth);

}  // namespace headroom::jinja
