// Draws lines, a table and a small map. Their numbers are recomputed when the cache or the configuration changes.
#include "ui/policy_outlook.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/base/model_config.h"
#include "engine/base/page_layout.h"
#include "engine/kv/keep_plan.h"
#include "ui/color_scale.h"
#include "ui/number_text.h"
#include "ui/policy_look.h"
#include "ui/theme.h"
#include "ui/widgets.h"

namespace headroom {
namespace {

std::string change_text(int64_t now, int64_t then) {
  if (now == 0) return bytes_text(then);
  const double change = static_cast<double>(then - now) / static_cast<double>(now);
  return bytes_text(then) + (then == now ? "" : (change > 0 ? " (+" : " (") + percent_text(change) + ")");
}

void draw_totals(const Mirror& mirror, const CacheConfig& draft, const WhatIf& then) {
  const int64_t now_bytes = mirror.now().kv_live_bytes;
  wrapped_text("Live KV now " + bytes_text(now_bytes) + ", then " + change_text(now_bytes, then.kv_live_bytes) +
               ", full " + bytes_text(mirror.now().kv_full_bytes));
  explain(
      "Live bytes of all heads now, and after a re-encode with this configuration; full is what an uncompressed f16 "
      "cache of the same tokens needs.");
  const KeptTotal now = kept_total(mirror);
  wrapped_text("Tokens kept now " + percent_text(now.share()) + ", then " + percent_text(then.kept.share()) + ": " +
               count_text(then.kept.kept_tokens) + " of " + count_text(then.kept.n_reach));
  explain("Over all heads, of the tokens in their reach.");
  if (solves_threshold(draft)) wrapped_text("T = " + share_text(then.threshold) + " comes nearest to the share.");
}

void draw_outlook_by_policy(const Mirror& mirror, bool dark, const CacheConfig& draft, const PolicyOutlookState& own) {
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
      const auto after = std::find_if(own.then.totals.begin(), own.then.totals.end(),
                                      [&](const PolicyTotal& total) { return total.policy == before.policy; });
      const PolicyTotal then = after == own.then.totals.end() ? PolicyTotal{before.policy} : *after;
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
}

/// Draws a map of the share that each head would hold: layers across, KV heads down.
void draw_by_head(const Mirror& mirror, const CacheConfig& draft, const WhatIf& then) {
  const LoadedModel& model = *mirror.model();
  const float em = ImGui::GetFontSize();
  const float room = std::min(ImGui::GetContentRegionAvail().x, em * 44);
  const float cell = std::clamp(std::floor(room / static_cast<float>(model.n_layers)), 1.0f, std::floor(em * 1.2f));
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const ImVec2 size{cell * static_cast<float>(model.n_layers), cell * static_cast<float>(model.n_kv_heads)};
  ImGui::Dummy({std::min(size.x, room), size.y});
  const bool is_hovered = ImGui::IsItemHovered();
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const float gap = cell > em * 0.4f ? 1.0f : 0.0f;
  const auto share_of = [&](int32_t head) {
    const int32_t n_reach =
        reachable_tokens(mirror.n_cached(), model.windows[static_cast<size_t>(head / model.n_kv_heads)]);
    const int32_t kept = then.kept_tokens[static_cast<size_t>(head)];
    return std::pair{n_reach, n_reach == 0 ? 0.0 : static_cast<double>(kept) / n_reach};
  };
  for (int32_t head = 0; head < std::ssize(then.kept_tokens); ++head) {
    const ImVec2 min{at.x + static_cast<float>(head / model.n_kv_heads) * cell,
                     at.y + static_cast<float>(head % model.n_kv_heads) * cell};
    list.AddRectFilled(min, {min.x + cell - gap, min.y + cell - gap},
                       scale_color(static_cast<float>(share_of(head).second)));
  }
  draw_color_scale({"kept share of each head then; layers across", "0 %", "100 %"}, std::min(room, em * 24));
  if (!is_hovered) return;
  const ImVec2 mouse = ImGui::GetIO().MousePos;
  const auto layer = static_cast<int32_t>((mouse.x - at.x) / cell),
             kv_head = static_cast<int32_t>((mouse.y - at.y) / cell);
  if (layer < 0 || layer >= model.n_layers || kv_head < 0 || kv_head >= model.n_kv_heads) return;
  const int32_t head = layer * model.n_kv_heads + kv_head;
  const auto [n_reach, share] = share_of(head);
  const int32_t kept = then.kept_tokens[static_cast<size_t>(head)];
  const int64_t bytes = (kept + page_tokens - 1) / page_tokens * page_bytes_of(model, draft.cache_type);
  if (!ImGui::BeginTooltip()) return;
  ImGui::TextUnformatted(("Layer " + std::to_string(layer) + ", KV head " + std::to_string(kv_head)).c_str());
  ImGui::TextUnformatted((count_text(kept) + " of " + count_text(n_reach, "token", "tokens") + " (" +
                          percent_text(share) + "), " + bytes_text(bytes))
                             .c_str());
  ImGui::TextUnformatted(
      ("now " + count_text(mirror.heads()[static_cast<size_t>(head)].kept_tokens, "token", "tokens")).c_str());
  ImGui::EndTooltip();
}

}  // namespace

void draw_policy_outlook(const Mirror& mirror, bool dark, const CacheConfig& draft, bool is_changed,
                         PolicyOutlookState& own) {
  ImGui::SeparatorText("What it would do");
  if (own.version != mirror.version() || !(own.config == draft)) {
    const auto cached = mirror.tokens().first(static_cast<size_t>(mirror.n_cached()));
    own.trust = what_if_trust(mirror, draft);
    own.then = own.trust.is_known ? what_if(*mirror.model(), cached, mirror.heads(), draft) : WhatIf{};
    own.version = mirror.version();
    own.config = draft;
  }
  if (!is_changed)
    return dimmed_text("These settings are in use. What a change would do is shown here before it is applied.");
  if (!own.trust.is_known) return wrapped_text(own.trust.sentence);
  if (!own.then.refusal.empty()) return wrapped_text("This is not possible: " + own.then.refusal + ".");
  draw_totals(mirror, draft, own.then);
  draw_outlook_by_policy(mirror, dark, draft, own);
  if (draft.budget == BudgetKind::shared) draw_by_head(mirror, draft, own.then);
  dimmed_text(own.trust.sentence);
}

}  // namespace headroom
