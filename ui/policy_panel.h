// The knobs of FastGen: threshold, named configuration, the set and its order. What they would do is computed at once
// from the recoveries that are there; Apply asks the engine to re-encode.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ui/ui.h"
#include "ui/what_if.h"

namespace headroom {

struct PolicyPanelState {
  std::optional<CacheConfig> draft;  // what is being tried; empty: nothing was touched since the cache's own
  std::vector<Policy> left_out;      // policies of the list that are not in the draft's set, in the list's order
  // what the outlook was computed of
  WhatIf outlook;
  WhatIfTrust trust;
  uint64_t outlook_version = ~uint64_t{0};
  CacheConfig outlook_config;
};

void draw_policy_panel(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions,
                       PolicyPanelState& own);

/// What the buttons do, for the keys: nothing where they are disabled.
void apply_policy_draft(const Mirror& mirror, const ChatView& chat, Actions& actions, PolicyPanelState& own);
void revert_policy_draft(PolicyPanelState& own);

bool same_config(const CacheConfig& a, const CacheConfig& b);
/// The name of the named configuration with this set and order, or "custom".
std::string config_name_of(const CacheConfig& config);

}  // namespace headroom
