// The knobs of a configuration: its name, the threshold with the set and its order, or the share that heads keep where
// they have budgets, and the cache type. What they would do is computed at once (policy_outlook.h); Apply asks the
// engine to re-encode.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/policy_outlook.h"
#include "ui/view.h"

namespace headroom {

struct PolicyPanelState {
  std::optional<CacheConfig> draft;  // what is being tried; empty: nothing was touched since the cache's own
  std::vector<Policy> left_out;      // policies of the list that are not in the draft's set, in the list's order
  PolicyOutlookState outlook;
};

void draw_policy_panel(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions,
                       PolicyPanelState& own);

/// What the buttons do, for the keys: nothing where they are disabled.
void apply_policy_draft(const Mirror& mirror, const ChatView& chat, Actions& actions, PolicyPanelState& own);
void revert_policy_draft(PolicyPanelState& own);

/// Whether the panel's knobs stand the same. What the engine adds to a configuration (the model's table, a threshold
/// that it solved for) makes no difference.
bool same_config(const CacheConfig& a, const CacheConfig& b);
/// The name of the named configuration with this set and order, budgets and score, or "custom".
std::string config_name_of(const CacheConfig& config);
/// What choosing a name makes of the draft: where both have fixed budgets only the set; else all that the name stands
/// for. A share that was set goes along, and to `headroom` the model's table, if the cache (`now`) has it.
CacheConfig named_draft(const std::string& name, const CacheConfig& draft, const CacheConfig& now);

}  // namespace headroom
