// Splits the dock space for each kind of layout.
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
  ImGuiID center = dock_space, left = 0, right_top = 0, right_middle = 0, right_bottom = 0;
  switch (kind) {
    case LayoutKind::tabs:
      left = right_top = right_middle = right_bottom = center;
      break;
    case LayoutKind::narrow:
      right_top = ImGui::DockBuilderSplitNode(center, ImGuiDir_Right, 0.42f, nullptr, &center);
      left = right_middle = right_bottom = right_top;
      break;
    case LayoutKind::wide:
    case LayoutKind::tall:
      left = ImGui::DockBuilderSplitNode(center, ImGuiDir_Left, 0.17f, nullptr, &center);
      right_top = ImGui::DockBuilderSplitNode(center, ImGuiDir_Right, 0.42f, nullptr, &center);
      right_bottom = ImGui::DockBuilderSplitNode(right_top, ImGuiDir_Down, kind == LayoutKind::wide ? 0.40f : 0.3f,
                                                 nullptr, &right_top);
      right_middle = kind == LayoutKind::wide
                         ? right_top
                         : ImGui::DockBuilderSplitNode(right_top, ImGuiDir_Down, 0.45f, nullptr, &right_top);
      break;
  }
  ImGui::DockBuilderDockWindow(transcript_window, center);
  const auto node_of = [&](PanelPlace place) {
    switch (place) {
      case PanelPlace::left:
        return left;
      case PanelPlace::right_top:
        return right_top;
      case PanelPlace::right_middle:
        return right_middle;
      case PanelPlace::right_bottom:
        return right_bottom;
    }
    return center;
  };
  for (const Panel& panel : side_panels) ImGui::DockBuilderDockWindow(panel.window, node_of(panel.place));
  ImGui::DockBuilderFinish(dock_space);
}

}  // namespace headroom
