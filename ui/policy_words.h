// A configuration in words: what it protects, what ranks the other tokens. A head's card and the policy panel use the
// same words. Knows no ImGui.
#pragma once

#include <string>

#include "engine/base/policy.h"

namespace headroom {

/// One sentence about a named configuration, for a list.
const char* explanation_of(const std::string& config_name);

/// "attention received from all rows"
const char* score_words(TokenScore score);
/// What stays whatever its score: "control tokens and position 0; the last 32 tokens, …"; "nothing".
std::string protected_words(Policy policy, BudgetKind budget);
/// A sentence about the order in which tokens are kept; empty if no score decides.
std::string order_sentence(const CacheConfig& config, Policy policy);

}  // namespace headroom
