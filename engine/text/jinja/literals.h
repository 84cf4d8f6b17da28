// A parsed chat template ─► its literal texts. They determine what the template itself can write (scaffold.h).
#pragma once

#include <string>
#include <vector>

#include "engine/text/jinja/ast.h"

namespace headroom::jinja {

/// Every string constant and every piece of literal text, as the template would output them. Duplicates are possible.
std::vector<std::string> find_literals(const Template& tree);

}  // namespace headroom::jinja
