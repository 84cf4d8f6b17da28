// What a configuration does, in words: what it protects, what ranks the other tokens. The same words on a head's card
// and in the policy panel. Knows no ImGui.
#pragma once

#include <string>

#include "engine/base/policy.h"

namespace headroom {

/// One sentence for a list: what a named configuration is.
const char* explanation_of(const std::string& config_name);

/// "attention received from all rows"
const char* score_words(TokenScore score);
/// What stays without a look at its score: "control tokens and position 0; the last 32 tokens, …"; "nothing".
std::string protected_words(Policy policy, BudgetKind budget);
/// In which order tokens stay, as a sentence; empty where no score decides.
std::string order_sentence(const CacheConfig& config, Policy policy);

}  // namespace headroom
