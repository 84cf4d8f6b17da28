// Draws the shortcut table as a dialog.
#include "ui/help.h"

#include <imgui.h>

#include <algorithm>
#include <cstring>

#include "ui/layout.h"
#include "ui/shortcuts.h"

namespace headroom {

void draw_shortcut_list() {
  float keys_width = 0;
  for (const Shortcut& shortcut : shortcuts()) keys_width = std::max(keys_width, ImGui::CalcTextSize(shortcut.keys).x);
  const char* group = "";
  bool in_table = false;
  for (const Shortcut& shortcut : shortcuts()) {
    if (std::strcmp(group, shortcut.group) != 0) {
      if (in_table) ImGui::EndTable();
      group = shortcut.group;
      ImGui::SeparatorText(group);
      in_table = ImGui::BeginTable(group, 2);
      if (in_table) {
        ImGui::TableSetupColumn("keys", ImGuiTableColumnFlags_WidthFixed, keys_width);
        ImGui::TableSetupColumn("what", ImGuiTableColumnFlags_WidthStretch);
      }
    }
    if (!in_table) continue;
    ImGui::TableNextColumn();
    ImGui::TextUnformatted(shortcut.keys);
    ImGui::TableNextColumn();
    ImGui::PushTextWrapPos(0);
    ImGui::TextUnformatted(shortcut.what);
    ImGui::PopTextWrapPos();
  }
  if (in_table) ImGui::EndTable();
}

void draw_help(const Mirror&, const ChatView&, UiState& state, Actions&, HelpState& own) {
  if (state.show_help && !own.was_open) ImGui::OpenPopup(help_window);
  if (!state.show_help && !own.was_open) return;
  const ImVec2 room = ImGui::GetMainViewport()->WorkSize;
  const float em = ImGui::GetFontSize();
  ImGui::SetNextWindowPos(ImGui::GetMainViewport()->GetWorkCenter(), ImGuiCond_Always, {0.5f, 0.5f});
  ImGui::SetNextWindowSize({std::min(room.x * 0.95f, em * 40), std::min(room.y * 0.9f, em * 44)}, ImGuiCond_Always);
  constexpr auto flags = ImGuiWindowFlags_NoCollapse | ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoMove |
                         ImGuiWindowFlags_NoResize;
  if (ImGui::BeginPopupModal(help_window, &state.show_help, flags)) {
    if (ImGui::IsKeyPressed(ImGuiKey_Escape)) state.show_help = false;
    draw_shortcut_list();
    if (!state.show_help) ImGui::CloseCurrentPopup();
    ImGui::EndPopup();
  }
  own.was_open = state.show_help;
}

}  // namespace headroom
