// The knobs of a configuration: its name, the cache type, and the threshold with the ordered policy set. If heads have
// budgets, the share that they keep replaces threshold and set. policy_outlook.h computes at once what the
// knobs would do. Apply asks the engine to re-encode.
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
  std::optional<CacheConfig> draft;  // the edited configuration; empty: same as the cache's
  std::vector<Policy> left_out;      // policies of the list that are not in the draft's set, in the list's order
  PolicyOutlookState outlook;
};

void draw_policy_panel(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions,
                       PolicyPanelState& own);

/// What the buttons do, for the keys. Does nothing if the button is disabled.
void apply_policy_draft(const Mirror& mirror, const ChatView& chat, Actions& actions, PolicyPanelState& own);
void revert_policy_draft(PolicyPanelState& own);

/// Whether the panel's knobs are equal. Ignores what the engine adds to a configuration: the model's calibration table,
/// a solved threshold.
bool same_config(const CacheConfig& a, const CacheConfig& b);
/// The name of the named configuration with this set and order, budgets and score, or "custom".
std::string config_name_of(const CacheConfig& config);
/// The draft after the user chose a name. If both have fixed budgets, only the set changes; otherwise everything that
/// the name defines. The share that the user set is kept. `headroom` gets the model's table if the cache (`now`) has
/// it.
CacheConfig named_draft(const std::string& name, const CacheConfig& draft, const CacheConfig& now);

}  // namespace headroom
