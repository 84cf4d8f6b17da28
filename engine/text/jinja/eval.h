// A parsed chat template and its variables ─► marked text. This is the last step of the interpreter: it walks the tree
// within the limits of the Runtime.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/value.h"

namespace headroom::jinja {

using Variables = std::vector<std::pair<std::string_view, Value>>;

/// All values in `variables` must belong to `runtime`.
Text render_template(Runtime& runtime, const Template& tree, const Variables& variables);

}  // namespace headroom::jinja
