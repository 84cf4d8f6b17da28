// Small pieces of panels, made from ImGui widgets; they keep no state.
#include "ui/widgets.h"

#include <imgui_internal.h>

#include <algorithm>

namespace headroom {

void explain(const char* text) {
  if (!ImGui::IsItemHovered(ImGuiHoveredFlags_ForTooltip | ImGuiHoveredFlags_AllowWhenDisabled)) return;
  if (!ImGui::BeginTooltip()) return;
  const float room = ImGui::GetMainViewport()->WorkSize.x - 4 * ImGui::GetStyle().WindowPadding.x;
  ImGui::PushTextWrapPos(std::min(ImGui::GetFontSize() * 26, room));
  ImGui::TextUnformatted(text);
  ImGui::PopTextWrapPos();
  ImGui::EndTooltip();
}

bool is_pointing() {
  const ImGuiContext& context = *ImGui::GetCurrentContext();
  return !context.NavCursorVisible || !context.NavHighlightItemUnderNav;
}

float width_of(std::string_view text) {
  return ImGui::CalcTextSize(text.data(), text.data() + text.size()).x;
}

bool draw_elided(ImDrawList& list, ImVec2 min, ImVec2 max, ImU32 color, std::string_view text) {
  const char* end = text.data() + text.size();
  const ImVec2 size = ImGui::CalcTextSize(text.data(), end);
  ImGui::PushStyleColor(ImGuiCol_Text, color);
  ImGui::RenderTextEllipsis(&list, min, max, max.x, text.data(), end, &size);
  ImGui::PopStyleColor();
  return size.x > max.x - min.x;
}

void elided_text(std::string_view text, float width) {
  const float room = std::max(ImGui::GetFontSize(), width > 0 ? width : ImGui::GetContentRegionAvail().x);
  const ImVec2 min = ImGui::GetCursorScreenPos();
  const float shown = std::min(room, width_of(text));
  ImGui::Dummy({shown, ImGui::GetTextLineHeight()});
  const bool cut = draw_elided(*ImGui::GetWindowDrawList(), min, {min.x + room, min.y + ImGui::GetTextLineHeight()},
                               ImGui::GetColorU32(ImGuiCol_Text), text);
  if (cut) explain(std::string(text));
}

void wrapped_text(const std::string& text) {
  ImGui::PushTextWrapPos(0);
  ImGui::TextUnformatted(text.c_str());
  ImGui::PopTextWrapPos();
}

void dimmed_text(const std::string& text) {
  ImGui::PushStyleColor(ImGuiCol_Text, ImGui::GetStyleColorVec4(ImGuiCol_TextDisabled));
  wrapped_text(text);
  ImGui::PopStyleColor();
}

void empty_panel_text(const char* sentence) {
  const ImVec2 room = ImGui::GetContentRegionAvail();
  const float wrap = std::min(room.x, ImGui::GetFontSize() * 24);
  const ImVec2 size = ImGui::CalcTextSize(sentence, nullptr, false, wrap);
  const ImVec2 at = ImGui::GetCursorPos();
  ImGui::SetCursorPos({at.x + std::max(0.0f, (room.x - size.x) / 2), at.y + std::max(0.0f, (room.y - size.y) / 3)});
  ImGui::PushTextWrapPos(ImGui::GetCursorPosX() + wrap);
  ImGui::PushStyleColor(ImGuiCol_Text, ImGui::GetStyleColorVec4(ImGuiCol_TextDisabled));
  ImGui::TextUnformatted(sentence);
  ImGui::PopStyleColor();
  ImGui::PopTextWrapPos();
}

void meter(double share, ImU32 color, const char* text, float width) {
  const float height = ImGui::GetTextLineHeight();
  const ImVec2 min = ImGui::GetCursorScreenPos();
  ImGui::Dummy({width, height});
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const float rounding = height * 0.2f;
  list.AddRectFilled(min, {min.x + width, min.y + height}, ImGui::GetColorU32(ImGuiCol_FrameBg), rounding);
  const float filled = width * static_cast<float>(std::clamp(share, 0.0, 1.0));
  // The colour is a thin line below the text, so that text is as readable on a full meter as on an empty one.
  const float line = height * 0.18f;
  if (filled > 0) list.AddRectFilled({min.x, min.y + height - line}, {min.x + filled, min.y + height}, color, rounding);
  const float left = min.x + std::max(height * 0.25f, (width - width_of(text)) / 2);
  draw_elided(list, {left, min.y}, {min.x + width, min.y + height}, ImGui::GetColorU32(ImGuiCol_Text), text);
}

void figure(const char* name, const std::string& value, const char* explanation) {
  ImGui::BeginGroup();
  ImGui::PushStyleColor(ImGuiCol_Text, ImGui::GetStyleColorVec4(ImGuiCol_TextDisabled));
  ImGui::TextUnformatted(name);
  ImGui::PopStyleColor();
  ImGui::TextUnformatted(value.c_str());
  ImGui::EndGroup();
  explain(explanation);
}

void same_line_if_fits(float width) {
  const float right = ImGui::GetCursorScreenPos().x + ImGui::GetContentRegionAvail().x;
  if (ImGui::GetItemRectMax().x + ImGui::GetStyle().ItemSpacing.x + width <= right) ImGui::SameLine();
}

}  // namespace headroom
