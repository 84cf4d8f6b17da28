// A parsed chat template and its variables ─► marked text. Last step of the interpreter: walks the tree, within the
// limits that Runtime counts.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/value.h"

namespace headroom::jinja {

using Variables = std::vector<std::pair<std::string_view, Value>>;

/// The values of the variables must belong to the runtime.
Text render_template(Runtime& runtime, const Template& tree, const Variables& variables);

}  // namespace headroom::jinja
