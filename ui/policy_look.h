// A policy ─► its colour and name. They are the same in every panel and configuration, so that a user learns them once.
#pragma once

#include <imgui.h>

#include <string>

#include "engine/base/policy.h"

namespace headroom {

/// No two policies of a named configuration share a colour. There are more possible unions than colours, so others do.
ImU32 policy_color(Policy policy, bool dark);

/// The policy's name, at most `width` pixels wide. Parts are left out at the front ("…+local"), since sets grow at the
/// end.
std::string policy_name_within(Policy policy, float width);
/// Draws policy_name_within() as an item, with the whole name on hover if it was cut. width 0: the rest of the line.
void elided_policy_name(Policy policy, float width = 0);

}  // namespace headroom
