// Draws the card of a head. Bars from 0 to 1 with a line at the threshold show the choice: the first bar that reaches
// the line is the head's policy. If heads have budgets, no policy was chosen; the card explains the budget instead.
#include "ui/head_card.h"

#include <imgui.h>

#include <algorithm>

#include "ui/number_text.h"
#include "ui/policy_look.h"
#include "ui/policy_words.h"
#include "ui/what_if.h"
#include "ui/widgets.h"

namespace headroom {
namespace {

std::string query_heads_text(const LoadedModel& model, int32_t kv_head) {
  const int32_t group = model.n_heads / std::max(1, model.n_kv_heads);
  const int32_t first = kv_head * group;
  if (group <= 1) return "query head " + std::to_string(first);
  return "query heads " + std::to_string(first) + " to " + std::to_string(first + group - 1);
}

/// threshold < 0: draws no threshold line.
void recovery_bar(bool dark, Policy policy, double recovery, double threshold, bool is_chosen, float width) {
  const float height = ImGui::GetTextLineHeight();
  const float gap = ImGui::GetStyle().ItemInnerSpacing.x;
  const float number_width = width_of("0.000 ");
  const float bar_width = std::max(height * 4, width * 0.4f);
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImGui::Dummy({width, height});
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const ImU32 text = ImGui::GetColorU32(is_chosen ? ImGuiCol_Text : ImGuiCol_TextDisabled);
  const float bar_left = at.x + width - bar_width - number_width;
  const std::string mark = is_chosen ? "> " : "";
  const std::string name = policy_name_within(policy, bar_left - gap - at.x - width_of(mark));
  draw_elided(list, at, {bar_left - gap, at.y + height}, text, mark + name);
  if (name != policy_name(policy)) explain(policy_name(policy));

  const ImVec2 bar_min{bar_left, at.y + height * 0.15f}, bar_max{bar_left + bar_width, at.y + height * 0.85f};
  list.AddRectFilled(bar_min, bar_max, ImGui::GetColorU32(ImGuiCol_FrameBg));
  const float filled = bar_width * static_cast<float>(std::clamp(recovery, 0.0, 1.0));
  list.AddRectFilled(bar_min, {bar_min.x + filled, bar_max.y}, policy_color(policy, dark));
  const float line = bar_left + bar_width * static_cast<float>(std::clamp(threshold, 0.0, 1.0));
  if (threshold >= 0)
    list.AddLine({line, at.y}, {line, at.y + height}, ImGui::GetColorU32(ImGuiCol_Text), std::max(1.0f, height / 12));
  list.AddText({bar_left + bar_width + gap, at.y}, text, share_text(recovery).c_str());
}

void text_wrapped(const std::string& text, float width) {
  ImGui::PushTextWrapPos(ImGui::GetCursorPosX() + width);
  ImGui::TextUnformatted(text.c_str());
  ImGui::PopTextWrapPos();
}

/// "importance 1.83, rank 3 of 90"
std::string importance_text(const CacheConfig& config, int32_t head) {
  const std::vector<float>& all = config.head_importance;
  if (all.empty()) return "importance: all heads count alike";
  const float own = all[static_cast<size_t>(head)];
  const auto rank = 1 + std::count_if(all.begin(), all.end(), [&](float other) { return other > own; });
  return "importance " + factor_text(own) + ", rank " + std::to_string(rank) + " of " + std::to_string(all.size());
}

void draw_budget(const CacheConfig& config, const MirrorHead& it, int32_t head, int32_t n_reach, float width) {
  if (it.budget.tokens >= 0) {
    const int32_t now = std::min(it.budget.at(n_reach), n_reach);
    const double share = n_reach == 0 ? 0 : static_cast<double>(now) / n_reach;
    text_wrapped("budget " + count_text(now, "token", "tokens") + " (" + percent_text(share) + "), " +
                     (it.budget.grows ? "grows with the conversation" : "stays as it is"),
                 width);
  }
  if (config.budget == BudgetKind::pooled)
    text_wrapped("the heads of a layer compete for tokens by their scores", width);
  else
    text_wrapped(importance_text(config, head), width);
  text_wrapped("protected: " + protected_words(it.policy, config.budget), width);
}

}  // namespace

int32_t tokens_in_reach(const Mirror& mirror, int32_t head) {
  const LoadedModel& model = *mirror.model();
  const int32_t window = model.windows[static_cast<size_t>(head / model.n_kv_heads)];
  const KeepRule rule = make_keep_rule(Policy{Policy::full}, mirror.n_cached(), window, 0, 0);
  return mirror.n_cached() - rule.reach_from;
}

void draw_head_card(const Mirror& mirror, bool dark, int32_t head, float width) {
  const LoadedModel& model = *mirror.model();
  const MirrorHead& it = mirror.heads()[static_cast<size_t>(head)];
  const CacheConfig& config = mirror.config();
  const int32_t layer = head / model.n_kv_heads, kv_head = head % model.n_kv_heads;
  text_wrapped("Layer " + std::to_string(layer) + ", KV head " + std::to_string(kv_head) + " (" +
                   query_heads_text(model, kv_head) + ")",
               width);

  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float side = ImGui::GetTextLineHeight();
  ImGui::GetWindowDrawList()->AddRectFilled({at.x, at.y + side * 0.15f}, {at.x + side * 0.7f, at.y + side * 0.85f},
                                            policy_color(it.policy, dark));
  ImGui::Dummy({side * 0.7f, side});
  ImGui::SameLine();
  elided_policy_name(it.policy, width - side);

  const int32_t n_reach = tokens_in_reach(mirror, head);
  const double share = n_reach == 0 ? 0 : static_cast<double>(it.kept_tokens) / n_reach;
  text_wrapped("keeps " + count_text(it.kept_tokens) + " of " + count_text(n_reach, "token", "tokens") +
                   (n_reach < mirror.n_cached() ? " in its window" : "") + " (" + percent_text(share) + ")",
               width);
  text_wrapped(count_text(it.pages, "page", "pages") + ", " + bytes_text(it.pages * model.page_bytes) + " live", width);
  const bool has_budgets = config.budget != BudgetKind::fixed;
  if (has_budgets) draw_budget(config, it, head, n_reach, width);
  if (const std::string order = order_sentence(config, it.policy); !order.empty()) text_wrapped(order, width);
  ImGui::Spacing();
  if (has_budgets) {
    if (!mirror.has_profile()) return;
    text_wrapped("Share of the head's score that its kept tokens hold", width);
    return recovery_bar(dark, it.policy, it.profile.recovery(it.policy), -1, true, width);
  }
  if (!mirror.has_profile()) {
    text_wrapped("No recoveries were measured for this cache.", width);
    return;
  }
  text_wrapped("Recovered attention, threshold T = " + share_text(config.threshold), width);
  for (const Policy policy : possible_policies(config))
    recovery_bar(dark, policy, it.profile.recovery(policy), config.threshold, policy == it.policy, width);
}

}  // namespace headroom
