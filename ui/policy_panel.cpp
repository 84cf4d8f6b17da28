// A draft of a configuration, edited in place and compared with the one under which the cache was built.
#include "ui/policy_panel.h"

#include <imgui.h>

#include <algorithm>

#include "ui/number_text.h"
#include "ui/policy_look.h"
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

const char* explanation_of(const std::string& config) {
  if (config == "paper") return "FastGen's five policies, cheapest first.";
  if (config == "full") return "Every head keeps everything: the uncompressed cache.";
  if (config == "local") return "Every head keeps the last tokens only.";
  if (config == "streaming") return "Every head keeps the first four and the last tokens (StreamingLLM).";
  if (config == "h2o") return "Every head keeps the most attended and the last tokens (H2O).";
  if (config.starts_with("paper-no-")) return "An ablation of the paper: its set without one policy.";
  return "The paper's policies in another order.";
}

void draw_named(CacheConfig& draft, PolicyPanelState& own) {
  const std::string current = config_name_of(draft);
  ImGui::TextUnformatted("Configuration");
  ImGui::SetNextItemWidth(std::min(ImGui::GetContentRegionAvail().x, ImGui::GetFontSize() * 16));
  if (ImGui::BeginCombo("###config", current.c_str())) {
    for (const std::string& name : cache_config_names()) {
      if (ImGui::Selectable((name + "###config_" + name).c_str(), name == current)) {
        // The shares stay: the recoveries that are there were measured with them.
        draft.policy_set = find_cache_config(name)->policy_set;
        own.left_out = left_out_of(draft);
      }
      explain(explanation_of(name));
    }
    ImGui::EndCombo();
  }
  explain("A named set of policies. The list below shows what is in it and may be changed.");
}

void draw_threshold(CacheConfig& draft) {
  ImGui::TextUnformatted("Threshold T");
  const bool fixed = draft.policy_set.size() == 1;
  ImGui::BeginDisabled(fixed);
  const float room = ImGui::GetContentRegionAvail().x;
  const float number_width = width_of("0.000") + 2 * ImGui::GetFrameHeight() + 4 * ImGui::GetStyle().FramePadding.x;
  const float slider_width = room - number_width - ImGui::GetStyle().ItemInnerSpacing.x;
  const bool side_by_side = slider_width > ImGui::GetFontSize() * 5;
  constexpr double lowest = 0.5, highest = 1;
  const char* why = fixed ? "A set of one policy is taken as it is: every head has it, whatever it recovers."
                          : "A head takes the first policy of the set that recovers at least this share of its "
                            "attention. Higher keeps more. The slider goes from 0.5 to 1, the field from 0 to 1.";
  ImGui::SetNextItemWidth(side_by_side ? slider_width : room);
  ImGui::SliderScalar("###threshold", ImGuiDataType_Double, &draft.threshold, &lowest, &highest, "%.3f",
                      ImGuiSliderFlags_NoInput);
  explain(why);
  if (side_by_side) ImGui::SameLine(0, ImGui::GetStyle().ItemInnerSpacing.x);
  ImGui::SetNextItemWidth(side_by_side ? number_width : room);
  ImGui::InputDouble("###threshold_number", &draft.threshold, 0.005, 0.05, "%.3f");
  explain(why);
  ImGui::EndDisabled();
  // Also turns what is not a number into one.
  draft.threshold = draft.threshold >= 0 ? std::min(draft.threshold, 1.0) : 0;
}

void swatch(Policy policy, bool dark) {
  const float side = ImGui::GetTextLineHeight() * 0.8f;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float top = at.y + (ImGui::GetFrameHeight() - side) / 2;
  ImGui::GetWindowDrawList()->AddRectFilled({at.x, top}, {at.x + side, top + side}, policy_color(policy, dark));
  ImGui::Dummy({side, ImGui::GetFrameHeight()});
}

/// One line of the list; returns the way it should move: -1, 0, 1. `checked` is toggled by a click.
int draw_policy_line(Policy policy, bool dark, bool& checked, bool can_toggle, bool can_rise, bool can_sink) {
  const std::string name = policy_name(policy);
  int moves = 0;
  ImGui::PushID(name.c_str());
  ImGui::BeginDisabled(!can_toggle);
  ImGui::Checkbox("###use", &checked);
  ImGui::EndDisabled();
  explain(can_toggle ? "Whether heads may take this policy." : "A set needs at least one policy.");
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
  explain("A head takes the first one that reaches T. Where none does, it keeps everything.");
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
    ImGui::TextDisabled("then full, where none of them reaches T");
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

std::string change_text(int64_t now, int64_t then) {
  if (now == 0) return bytes_text(then);
  const double change = static_cast<double>(then - now) / static_cast<double>(now);
  return bytes_text(then) + (then == now ? "" : (change > 0 ? " (+" : " (") + percent_text(change) + ")");
}

void draw_outlook(const Mirror& mirror, bool dark, const CacheConfig& draft, PolicyPanelState& own) {
  ImGui::SeparatorText("What it would do");
  if (own.outlook_version != mirror.version() || !same_config(own.outlook_config, draft)) {
    const auto cached = mirror.tokens().first(static_cast<size_t>(mirror.n_cached()));
    own.trust = what_if_trust(mirror, draft);
    own.outlook = own.trust.is_known ? what_if(*mirror.model(), cached, mirror.heads(), draft) : WhatIf{};
    own.outlook_version = mirror.version();
    own.outlook_config = draft;
  }
  ImGui::PushTextWrapPos(0);
  if (!own.trust.is_known) {
    ImGui::TextUnformatted(own.trust.sentence.c_str());
    ImGui::PopTextWrapPos();
    return;
  }
  const int64_t now_bytes = mirror.now().kv_live_bytes, then_bytes = own.outlook.kv_live_bytes;
  ImGui::TextUnformatted(("Live KV now " + bytes_text(now_bytes) + ", then " + change_text(now_bytes, then_bytes) +
                          ", full " + bytes_text(mirror.now().kv_full_bytes))
                             .c_str());
  explain(
      "Live bytes of all heads as they stand, and after a re-encode under this configuration; full is what an "
      "uncompressed f16 cache of the same tokens needs.");
  ImGui::PopTextWrapPos();

  std::vector<PolicyTotal> now = policy_totals(*mirror.model(), mirror.heads(), draft);
  constexpr ImGuiTableFlags flags =
      ImGuiTableFlags_SizingFixedFit | ImGuiTableFlags_NoSavedSettings | ImGuiTableFlags_BordersInnerH;
  const float em = ImGui::GetFontSize();
  const bool wide = ImGui::GetContentRegionAvail().x > em * 27;
  if (ImGui::BeginTable("###outlook", wide ? 5 : 3, flags, {std::min(ImGui::GetContentRegionAvail().x, em * 44), 0})) {
    ImGui::TableSetupColumn("policy", ImGuiTableColumnFlags_WidthStretch);
    ImGui::TableSetupColumn("heads now");
    if (wide) ImGui::TableSetupColumn("live now");
    ImGui::TableSetupColumn(wide ? "heads then" : "then");
    if (wide) ImGui::TableSetupColumn("live then");
    ImGui::TableHeadersRow();
    for (const PolicyTotal& before : now) {
      const auto after = std::find_if(own.outlook.totals.begin(), own.outlook.totals.end(),
                                      [&](const PolicyTotal& total) { return total.policy == before.policy; });
      const PolicyTotal then = after == own.outlook.totals.end() ? PolicyTotal{before.policy} : *after;
      ImGui::TableNextRow();
      ImGui::TableNextColumn();
      const float side = ImGui::GetTextLineHeight();
      const ImVec2 at = ImGui::GetCursorScreenPos();
      ImGui::GetWindowDrawList()->AddRectFilled({at.x, at.y + side * 0.15f}, {at.x + side * 0.7f, at.y + side * 0.85f},
                                                policy_color(before.policy, dark));
      ImGui::Dummy({side * 0.7f, side});
      ImGui::SameLine();
      elided_policy_name(before.policy);
      ImGui::TableNextColumn();
      ImGui::TextUnformatted(count_text(before.n_heads).c_str());
      if (wide) {
        ImGui::TableNextColumn();
        ImGui::TextUnformatted(bytes_text(before.bytes).c_str());
      }
      ImGui::TableNextColumn();
      ImGui::TextUnformatted(count_text(then.n_heads).c_str());
      explain(count_text(then.n_heads, "head", "heads") + ", " + bytes_text(then.bytes) +
              " live after a re-encode; now " + count_text(before.n_heads, "head", "heads") + ", " +
              bytes_text(before.bytes) + ".");
      if (wide) {
        ImGui::TableNextColumn();
        ImGui::TextUnformatted(bytes_text(then.bytes).c_str());
      }
    }
    ImGui::EndTable();
  }
  ImGui::PushTextWrapPos(0);
  ImGui::PushStyleColor(ImGuiCol_Text, ImGui::GetStyleColorVec4(ImGuiCol_TextDisabled));
  ImGui::TextUnformatted(own.trust.sentence.c_str());
  ImGui::PopStyleColor();
  ImGui::PopTextWrapPos();
}

/// Why Apply cannot be pressed; null where it can.
const char* why_not_apply(const Mirror& mirror, const ChatView& chat, bool changed) {
  if (chat.replay) return "This is a recording: what the engine did then cannot be changed.";
  if (!chat.engine_is_running) return "The engine is not running.";
  if (chat.is_busy || mirror.turn()) return "The engine is busy: stop the answer first, or wait for its end.";
  if (mirror.is_loading()) return "The model is still being opened.";
  if (!changed) return "Nothing was changed.";
  return nullptr;
}

void draw_buttons(const Mirror& mirror, const ChatView& chat, Actions& actions, PolicyPanelState& own, bool changed) {
  const char* why = why_not_apply(mirror, chat, changed);
  ImGui::BeginDisabled(why != nullptr);
  if (ImGui::Button("Apply###apply_policy")) apply_policy_draft(mirror, chat, actions, own);
  ImGui::EndDisabled();
  explain(why != nullptr ? why
                         : "Re-encodes: the cache is built anew from the conversation under this configuration. The "
                           "messages stay as they are.");
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
  return a.policy_set == b.policy_set && a.r_local == b.r_local && a.r_frequent == b.r_frequent &&
         a.threshold == b.threshold && a.group == b.group;
}

std::string config_name_of(const CacheConfig& config) {
  for (const std::string& name : cache_config_names()) {
    const CacheConfig named = *find_cache_config(name);
    if (named.policy_set == config.policy_set) return name;
  }
  return "custom";
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
  draw_named(*own.draft, own);
  draw_threshold(*own.draft);
  draw_set(*own.draft, own, state.dark);
  const CacheConfig draft = *own.draft;
  ImGui::PushTextWrapPos(0);
  ImGui::TextDisabled("Shares: local %s, frequent %s of the tokens.", percent_text(draft.r_local).c_str(),
                      percent_text(draft.r_frequent).c_str());
  ImGui::PopTextWrapPos();
  explain(
      "How many tokens `local` and `frequent` hold. Fixed here: the recoveries were measured with these; "
      "--r-local and --r-frequent set them at the start.");
  const bool changed = !same_config(draft, mirror.config());
  draw_outlook(mirror, state.dark, draft, own);
  draw_buttons(mirror, chat, actions, own, changed);
  // What was not changed, was changed back, or has been applied follows the cache again.
  if (!changed) own.draft.reset();
}

}  // namespace headroom
