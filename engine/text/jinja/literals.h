// A parsed chat template ─► the texts that stand in it, for whoever must know what it can write by itself.
#pragma once

#include <string>
#include <vector>

#include "engine/text/jinja/ast.h"

namespace headroom::jinja {

/// Every string constant and every stretch of raw text, as they would be written; some more than once.
std::vector<std::string> find_literals(const Template& tree);

}  // namespace headroom::jinja
