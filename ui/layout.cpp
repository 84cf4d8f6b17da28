// Splits of the dock space for each kind of layout.
#include "ui/layout.h"

#include <imgui_internal.h>

namespace headroom {

LayoutKind layout_kind(float width_em, float height_em) {
  if (width_em < 36) return LayoutKind::tabs;
  if (width_em < 70 || height_em < 34) return LayoutKind::narrow;
  return height_em < 75 ? LayoutKind::wide : LayoutKind::tall;
}

void build_layout(ImGuiID dock_space, ImVec2 size, LayoutKind kind) {
  ImGui::DockBuilderRemoveNode(dock_space);
  ImGui::DockBuilderAddNode(dock_space, ImGuiDockNodeFlags_DockSpace);
  ImGui::DockBuilderSetNodeSize(dock_space, size);
  ImGuiID center = dock_space, heads = 0, policy = 0, memory = 0, chats = 0;
  switch (kind) {
    case LayoutKind::tabs:
      heads = policy = memory = chats = center;
      break;
    case LayoutKind::narrow:
      heads = ImGui::DockBuilderSplitNode(center, ImGuiDir_Right, 0.42f, nullptr, &center);
      policy = memory = chats = heads;
      break;
    case LayoutKind::wide:
    case LayoutKind::tall:
      chats = ImGui::DockBuilderSplitNode(center, ImGuiDir_Left, 0.17f, nullptr, &center);
      heads = ImGui::DockBuilderSplitNode(center, ImGuiDir_Right, 0.42f, nullptr, &center);
      memory =
          ImGui::DockBuilderSplitNode(heads, ImGuiDir_Down, kind == LayoutKind::wide ? 0.40f : 0.3f, nullptr, &heads);
      policy =
          kind == LayoutKind::wide ? heads : ImGui::DockBuilderSplitNode(heads, ImGuiDir_Down, 0.45f, nullptr, &heads);
      break;
  }
  ImGui::DockBuilderDockWindow(transcript_window, center);
  ImGui::DockBuilderDockWindow(heads_window, heads);
  ImGui::DockBuilderDockWindow(policy_window, policy);
  ImGui::DockBuilderDockWindow(memory_window, memory);
  ImGui::DockBuilderDockWindow(chats_window, chats);
  ImGui::DockBuilderFinish(dock_space);
}

}  // namespace headroom
