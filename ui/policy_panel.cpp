// Edits a draft configuration and compares it with the one that the cache was built with.
#include "ui/policy_panel.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "engine/kv/keep_plan.h"
#include "ui/calibrate_dialog.h"
#include "ui/number_text.h"
#include "ui/policy_look.h"
#include "ui/policy_words.h"
#include "ui/what_if.h"
#include "ui/widgets.h"

namespace headroom {
namespace {

/// Every policy that a named configuration uses, in the order in which they first appear, `full` last.
std::vector<Policy> known_policies() {
  std::vector<Policy> policies;
  for (const std::string& name : cache_config_names()) {
    const CacheConfig config = *find_cache_config(name);
    for (const Policy policy : config.policy_set)
      if (!policy.has(Policy::full) && std::find(policies.begin(), policies.end(), policy) == policies.end())
        policies.push_back(policy);
  }
  policies.push_back(Policy{Policy::full});
  return policies;
}

std::vector<Policy> left_out_of(const CacheConfig& config) {
  std::vector<Policy> left_out;
  for (const Policy policy : known_policies())
    if (std::find(config.policy_set.begin(), config.policy_set.end(), policy) == config.policy_set.end())
      left_out.push_back(policy);
  return left_out;
}

void begin_draft(PolicyPanelState& own, const CacheConfig& config) {
  own.draft = config;
  own.left_out = left_out_of(config);
}

void draw_named(const CacheConfig& now, CacheConfig& draft, PolicyPanelState& own) {
  const std::string current = config_name_of(draft);
  ImGui::TextUnformatted("Configuration");
  ImGui::SetNextItemWidth(std::min(ImGui::GetContentRegionAvail().x, ImGui::GetFontSize() * 16));
  if (ImGui::BeginCombo("###config", current.c_str())) {
    for (const std::string& name : cache_config_names()) {
      if (ImGui::Selectable((name + "###config_" + name).c_str(), name == current)) {
        draft = named_draft(name, draft, now);
        own.left_out = left_out_of(draft);
      }
      explain(explanation_of(name));
    }
    ImGui::EndCombo();
  }
  explain(current == "custom" ? "A named configuration; you can change its settings below." : explanation_of(current));
}

/// Draws the engine's note about the cache's configuration.
void draw_note(const Mirror& mirror, Actions& actions) {
  if (mirror.cache_note().empty()) return;
  ImGui::PushTextWrapPos(0);
  ImGui::TextUnformatted(one_line(mirror.cache_note(), 400).c_str());
  ImGui::PopTextWrapPos();
  if (mirror.config().importance == ImportanceKind::calibrated && mirror.config().head_importance.empty())
    draw_calibrate_button(mirror, actions);
}

/// A slider with a number field beside it, or below it if there is no room.
void number_knob(const char* slider, const char* field, double& value, double lowest, double highest, double step,
                 const char* slider_format, const char* field_format, const char* explanation) {
  const float room = ImGui::GetContentRegionAvail().x;
  const float number_width = width_of("100.0 %") + 2 * ImGui::GetFrameHeight() + 4 * ImGui::GetStyle().FramePadding.x;
  const float slider_width = room - number_width - ImGui::GetStyle().ItemInnerSpacing.x;
  const bool side_by_side = slider_width > ImGui::GetFontSize() * 5;
  ImGui::SetNextItemWidth(side_by_side ? slider_width : room);
  ImGui::SliderScalar(slider, ImGuiDataType_Double, &value, &lowest, &highest, slider_format, ImGuiSliderFlags_NoInput);
  explain(explanation);
  if (side_by_side) ImGui::SameLine(0, ImGui::GetStyle().ItemInnerSpacing.x);
  ImGui::SetNextItemWidth(side_by_side ? number_width : room);
  ImGui::InputDouble(field, &value, step, 10 * step, field_format);
  explain(explanation);
}

void draw_keep(CacheConfig& draft) {
  const double before = draft.keep * 100;
  double percent = before;
  number_knob(
      "###keep", "###keep_number", percent, 10, 100, 1, "%.0f %%", "%.1f %%",
      "Share of the tokens that all heads hold together at the end of a prompt. Every head is guaranteed a part of "
      "it. The slider goes from 10 to 100 %, the field from 1 %.");
  if (percent == before) return;
  // The comparison also replaces NaN by the minimum.
  draft.keep = (percent >= 1 ? std::min(percent, 100.0) : 1) / 100;
}

/// Draws the byte bound and what it means: the smallest sensible bound, and whether protected tokens are evicted too.
void draw_kv_budget(const Mirror& mirror, CacheConfig& draft) {
  constexpr double mib = 1 << 20, most_mib = 1 << 20;
  ImGui::TextUnformatted("At most, in MiB (0: no bound)");
  ImGui::SetNextItemWidth(std::min(ImGui::GetContentRegionAvail().x, ImGui::GetFontSize() * 12));
  double value = static_cast<double>(draft.kv_budget_bytes) / mib;
  ImGui::InputDouble("###kv_budget", &value, 1, 16, "%.1f");
  explain(
      "Live bytes of all heads never exceed this, however long the conversation gets. It overrides the share above.");
  value = value > 0 ? std::min(value, most_mib) : 0;
  draft.kv_budget_bytes = std::llround(value * mib);
  if (draft.kv_budget_bytes == 0) return;
  const SmallestBounds least = smallest_bounds(mirror, draft);
  const auto up = [](int64_t bytes) {
    return bytes_text((bytes + (1 << 20) / 10 - 1) / ((1 << 20) / 10) * ((1 << 20) / 10));
  };
  ImGui::PushTextWrapPos(0);
  const KeptTotal kept = kept_total(mirror);
  if (kept.n_reach > 0 && mirror.config().kv_budget_bytes == draft.kv_budget_bytes && kept.share() < draft.keep - 0.02)
    ImGui::TextUnformatted(("The bound decides now: the heads keep " + percent_text(kept.share()) + ", not " +
                            percent_text(draft.keep) + ".")
                               .c_str());
  if (draft.kv_budget_bytes < least.protected_bytes)
    ImGui::TextUnformatted(("This bound is below the " + up(least.protected_bytes) +
                            " of the protected tokens: the oldest of them are evicted. From " +
                            up(least.sensible_bytes) + " on, importance matters.")
                               .c_str());
  else if (draft.kv_budget_bytes < least.sensible_bytes)
    ImGui::TextUnformatted(("Nearly all of this bound goes to protected tokens, whatever the share above. From " +
                            up(least.sensible_bytes) + " on, importance matters.")
                               .c_str());
  else
    ImGui::TextDisabled("The smallest sensible bound for this model is %s.", up(least.sensible_bytes).c_str());
  ImGui::PopTextWrapPos();
}

void draw_budget_knobs(const Mirror& mirror, CacheConfig& draft) {
  ImGui::TextUnformatted("Kept share of the tokens");
  draw_keep(draft);
  if (draft.budget == BudgetKind::shared) draw_kv_budget(mirror, draft);
  const Policy policy = draft.policy_set[0];
  const std::string order = order_sentence(draft, policy);
  ImGui::PushTextWrapPos(0);
  ImGui::TextDisabled("Protected: %s.%s%s", protected_words(policy, draft.budget).c_str(), order.empty() ? "" : " ",
                      order.c_str());
  ImGui::PopTextWrapPos();
  explain(
      "The one policy of this configuration: the tokens that always stay, and the order that fills the rest of a "
      "budget.");
}

void draw_cache_type(CacheConfig& draft) {
  ImGui::TextUnformatted("Keys and values as");
  const auto button = [&](const char* label, CacheType type, const char* explanation) {
    if (ImGui::RadioButton(label, draft.cache_type == type)) draft.cache_type = type;
    explain(explanation);
  };
  button("f16###cache_f16", CacheType::f16, "Two bytes per value.");
  same_line_if_fits(width_of("q8_0") + ImGui::GetFrameHeight() + ImGui::GetStyle().ItemInnerSpacing.x);
  button("q8_0###cache_q8_0", CacheType::q8_0, "34 bytes per 32 values: about half the bytes, slightly less exact.");
}

void draw_threshold(CacheConfig& draft) {
  const bool fixed = draft.policy_set.size() == 1;
  if (!fixed) {
    bool solves = draft.keep > 0;
    if (ImGui::Checkbox("solve T for a share###solve_keep", &solves)) draft.keep = solves ? 0.5 : 0;
    explain(
        "The engine chooses T, and the shares of local and frequent, so that all heads together hold this share of "
        "the tokens.");
    if (solves) return draw_keep(draft);
  }
  ImGui::TextUnformatted("Threshold T");
  ImGui::BeginDisabled(fixed);
  number_knob("###threshold", "###threshold_number", draft.threshold, 0.5, 1, 0.005, "%.3f", "%.3f",
              fixed ? "If the set has one policy, every head uses it, whatever it recovers."
                    : "A head uses the first policy of the set that recovers at least this share of its attention. "
                      "Higher keeps more. The slider goes from 0.5 to 1, the field from 0 to 1.");
  ImGui::EndDisabled();
  // The comparison also replaces NaN by 0.
  draft.threshold = draft.threshold >= 0 ? std::min(draft.threshold, 1.0) : 0;
}

void swatch(Policy policy, bool dark) {
  const float side = ImGui::GetTextLineHeight() * 0.8f;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float top = at.y + (ImGui::GetFrameHeight() - side) / 2;
  ImGui::GetWindowDrawList()->AddRectFilled({at.x, top}, {at.x + side, top + side}, policy_color(policy, dark));
  ImGui::Dummy({side, ImGui::GetFrameHeight()});
}

/// Draws one line of the list. Returns the direction to move it: -1, 0, 1. A click toggles `checked`.
int draw_policy_line(Policy policy, bool dark, bool& checked, bool can_toggle, bool can_rise, bool can_sink) {
  const std::string name = policy_name(policy);
  int moves = 0;
  ImGui::PushID(name.c_str());
  ImGui::BeginDisabled(!can_toggle);
  ImGui::Checkbox("###use", &checked);
  ImGui::EndDisabled();
  explain(can_toggle ? "Whether heads may use this policy." : "A set needs at least one policy.");
  ImGui::SameLine();
  const float inner = ImGui::GetStyle().ItemInnerSpacing.x;
  if (can_rise || can_sink) {
    ImGui::BeginDisabled(!can_rise);
    if (ImGui::ArrowButton("###earlier", ImGuiDir_Up)) moves = -1;
    ImGui::EndDisabled();
    explain("Try this policy earlier.");
    ImGui::SameLine(0, inner);
    ImGui::BeginDisabled(!can_sink);
    if (ImGui::ArrowButton("###later", ImGuiDir_Down)) moves = 1;
    ImGui::EndDisabled();
    explain("Try this policy later.");
  } else {
    ImGui::Dummy({2 * ImGui::GetFrameHeight() + inner, ImGui::GetFrameHeight()});
  }
  ImGui::SameLine();
  swatch(policy, dark);
  ImGui::SameLine();
  ImGui::AlignTextToFramePadding();
  const ImVec2 at = ImGui::GetCursorPos();
  ImGui::SetCursorPosY(at.y + ImGui::GetStyle().FramePadding.y);
  ImGui::BeginDisabled(!checked);
  elided_policy_name(policy);
  ImGui::EndDisabled();
  ImGui::PopID();
  return moves;
}

void draw_set(CacheConfig& draft, PolicyPanelState& own, bool dark) {
  ImGui::TextUnformatted("Policies, tried from the top");
  explain("A head uses the first one that reaches T. If none does, it keeps everything.");
  std::vector<Policy>& set = draft.policy_set;
  size_t removed = set.size(), moved = set.size();
  int moves = 0;
  for (size_t i = 0; i < set.size(); ++i) {
    bool checked = true;
    const int way = draw_policy_line(set[i], dark, checked, set.size() > 1, i > 0, i + 1 < set.size());
    if (!checked) removed = i;
    if (way != 0) moved = i, moves = way;
  }
  if (set.size() > 1 && std::find(set.begin(), set.end(), Policy{Policy::full}) == set.end()) {
    ImGui::PushTextWrapPos(0);
    ImGui::TextDisabled("then full, if none of them reaches T");
    ImGui::PopTextWrapPos();
  }
  if (ImGui::TreeNode("Other policies###other_policies")) {
    for (const Policy policy : std::vector<Policy>(own.left_out)) {
      bool checked = false;
      draw_policy_line(policy, dark, checked, true, false, false);
      if (!checked) continue;
      const auto full = std::find(set.begin(), set.end(), Policy{Policy::full});
      set.insert(policy.has(Policy::full) ? set.end() : full, policy);
      own.left_out = left_out_of(draft);
      removed = moved = set.size();
    }
    ImGui::TreePop();
  }
  if (moved < set.size()) std::swap(set[moved], set[static_cast<size_t>(static_cast<int64_t>(moved) + moves)]);
  if (removed < set.size()) {
    set.erase(set.begin() + static_cast<std::ptrdiff_t>(removed));
    own.left_out = left_out_of(draft);
  }
}

void draw_shares(const CacheConfig& draft) {
  ImGui::PushTextWrapPos(0);
  ImGui::TextDisabled("Shares: local %s, frequent %s of the tokens.", percent_text(draft.r_local).c_str(),
                      percent_text(draft.r_frequent).c_str());
  ImGui::PopTextWrapPos();
  explain(
      "How many tokens `local` and `frequent` hold. Fixed here: the recoveries were measured with these; "
      "--r-local and --r-frequent set them at the start.");
}

/// Why Apply is disabled; null if it is enabled.
const char* why_not_apply(const Mirror& mirror, const ChatView& chat, bool changed) {
  if (chat.replay) return "This is a recording: what the engine did then cannot be changed.";
  if (!chat.engine_is_running) return "The engine is not running.";
  if (chat.is_busy || mirror.turn()) return "The engine is busy: stop the answer first, or wait for its end.";
  if (mirror.is_loading()) return "The model is still being opened.";
  if (!changed) return "Nothing was changed.";
  return nullptr;
}

/// A configuration without the parts that no knob sets: its name, the model's table, values that the engine solves.
CacheConfig knobs_of(CacheConfig config) {
  config.name.clear();
  config.beta = 0;
  config.head_importance.clear();
  if (config.importance == ImportanceKind::calibrated) config.score = TokenScore::accumulated;  // the table's
  const bool has_budgets = config.budget != BudgetKind::fixed;
  if (has_budgets || solves_threshold(config)) config.threshold = config.r_local = config.r_frequent = 0;
  if (!has_budgets && !solves_threshold(config)) config.keep = 0;
  if (config.budget != BudgetKind::shared) config.kv_budget_bytes = 0;
  return config;
}

void draw_buttons(const Mirror& mirror, const ChatView& chat, Actions& actions, PolicyPanelState& own, bool changed) {
  const char* why = why_not_apply(mirror, chat, changed);
  ImGui::BeginDisabled(why != nullptr);
  if (ImGui::Button("Apply###apply_policy")) apply_policy_draft(mirror, chat, actions, own);
  ImGui::EndDisabled();
  explain(why != nullptr ? why
                         : "Re-encodes: rebuilds the cache from the conversation with this configuration. The messages "
                           "stay as they are.");
  same_line_if_fits(width_of("Revert") + 2 * ImGui::GetStyle().FramePadding.x);
  ImGui::BeginDisabled(!changed);
  if (ImGui::Button("Revert###revert_policy")) revert_policy_draft(own);
  ImGui::EndDisabled();
  explain("Back to the configuration that the cache has.");
  if (why != nullptr && changed) {
    ImGui::PushTextWrapPos(0);
    ImGui::TextDisabled("%s", why);
    ImGui::PopTextWrapPos();
  }
}

}  // namespace

bool same_config(const CacheConfig& a, const CacheConfig& b) {
  return knobs_of(a) == knobs_of(b);
}

std::string config_name_of(const CacheConfig& config) {
  for (const std::string& name : cache_config_names()) {
    const CacheConfig named = *find_cache_config(name);
    const bool same_score = named.score == config.score || named.importance == ImportanceKind::calibrated;
    if (named.policy_set == config.policy_set && named.budget == config.budget &&
        named.importance == config.importance && same_score)
      return name;
  }
  return "custom";
}

CacheConfig named_draft(const std::string& name, const CacheConfig& draft, const CacheConfig& now) {
  const CacheConfig named = *find_cache_config(name);
  CacheConfig next = draft;
  // The local and frequent shares stay, because the cached recoveries were measured with them.
  next.policy_set = named.policy_set;
  if (named.budget == BudgetKind::fixed && draft.budget == BudgetKind::fixed) return next;
  next.name = name;
  next.score = named.score;
  next.budget = named.budget;
  next.importance = named.importance;
  next.keep = named.keep > 0 && draft.keep > 0 ? draft.keep : named.keep;
  if (named.budget != BudgetKind::shared) next.kv_budget_bytes = 0;
  next.beta = named.beta;
  next.head_importance.clear();
  if (named.importance == ImportanceKind::calibrated && now.importance == ImportanceKind::calibrated) {
    next.score = now.score;
    next.beta = now.beta;
    next.head_importance = now.head_importance;
  }
  return next;
}

void apply_policy_draft(const Mirror& mirror, const ChatView& chat, Actions& actions, PolicyPanelState& own) {
  const bool changed = own.draft && !same_config(*own.draft, mirror.config());
  if (mirror.model() == nullptr || why_not_apply(mirror, chat, changed) != nullptr) return;
  own.draft->name = config_name_of(*own.draft);
  actions.apply_config(*own.draft);
}

void revert_policy_draft(PolicyPanelState& own) {
  own.draft.reset();
}

void draw_policy_panel(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions,
                       PolicyPanelState& own) {
  if (mirror.model() == nullptr) {
    own = {};
    return empty_panel_text(chat.replay ? "This trace has not opened a model yet: step forward to see its policies."
                                        : "Open a model (File menu, or drop a GGUF file here) to choose what its "
                                          "heads may keep.");
  }
  if (!own.draft) begin_draft(own, mirror.config());
  draw_named(mirror.config(), *own.draft, own);
  draw_note(mirror, actions);
  if (own.draft->budget == BudgetKind::fixed) {
    draw_threshold(*own.draft);
    draw_set(*own.draft, own, state.dark);
    if (!solves_threshold(*own.draft)) draw_shares(*own.draft);
  } else {
    draw_budget_knobs(mirror, *own.draft);
  }
  draw_cache_type(*own.draft);
  const CacheConfig draft = *own.draft;
  const bool changed = !same_config(draft, mirror.config());
  draw_policy_outlook(mirror, state.dark, draft, changed, own.outlook);
  draw_buttons(mirror, chat, actions, own, changed);
  // A draft equal to the cache's configuration (unchanged, reverted or applied) follows the cache again.
  if (!changed) own.draft.reset();
}

}  // namespace headroom
