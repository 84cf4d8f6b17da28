// A policy ─► its colour and name, the same in every panel and configuration, so that a reader learns them once.
#pragma once

#include <imgui.h>

#include <string>

#include "engine/base/policy.h"

namespace headroom {

/// No two policies of a named configuration share a colour; of all possible unions some must.
ImU32 policy_color(Policy policy, bool dark);

/// Its name, at most so wide: parts are left out at the front ("…+local"), since sets grow at the end.
std::string policy_name_within(Policy policy, float width);
/// That as an item, with the whole name on hover where it was cut. width 0: what is left.
void elided_policy_name(Policy policy, float width = 0);

}  // namespace headroom
