// What a configuration would do to the current cache: bytes, tokens, heads by policy, and with budgets the share of
// each head. A part of the policy panel. Everything is computed without a forward pass (what_if.h).
#pragma once

#include <cstdint>

#include "ui/what_if.h"

namespace headroom {

struct PolicyOutlookState {
  WhatIf then;
  WhatIfTrust trust;
  // the inputs that both were computed from
  uint64_t version = ~uint64_t{0};
  CacheConfig config;
};

void draw_policy_outlook(const Mirror& mirror, bool dark, const CacheConfig& draft, bool is_changed,
                         PolicyOutlookState& own);

}  // namespace headroom
