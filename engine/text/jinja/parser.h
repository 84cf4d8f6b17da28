// Source of a chat template ─► tree. Second step of the interpreter; knows the grammar, not what anything does.
#pragma once

#include <string_view>

#include "engine/text/jinja/ast.h"

namespace headroom::jinja {

/// Throws Error(bad_input) for what is not Jinja and Error(unsupported) for statements that are not offered, with the
/// line. Names of filters, tests and methods are looked up when they are reached, as some templates need it.
/// max_depth: levels of brackets, signs and blocks within one another.
Template parse_template(std::string_view source, int max_depth);

}  // namespace headroom::jinja
