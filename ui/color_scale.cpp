// Draws the scale in steps too small to see.
#include "ui/color_scale.h"

#include <imgui.h>

#include <algorithm>

#include "ui/theme.h"
#include "ui/widgets.h"

namespace headroom {

void draw_color_scale(const ColorScale& scale, float width) {
  ImGui::PushTextWrapPos(0);
  ImGui::TextUnformatted(scale.title.c_str());
  ImGui::PopTextWrapPos();
  const float height = ImGui::GetTextLineHeight() * 0.7f;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImGui::Dummy({width, height});
  ImDrawList& list = *ImGui::GetWindowDrawList();
  constexpr int n_steps = 48;
  for (int i = 0; i < n_steps; ++i) {
    const float left = at.x + width * static_cast<float>(i) / n_steps;
    list.AddRectFilled({left, at.y}, {at.x + width * static_cast<float>(i + 1) / n_steps, at.y + height},
                       scale_color((static_cast<float>(i) + 0.5f) / n_steps));
  }
  const ImVec2 below = ImGui::GetCursorScreenPos();
  const float low_width = width_of(scale.lowest), high_width = width_of(scale.highest);
  ImGui::Dummy({width, ImGui::GetTextLineHeight()});
  const ImU32 text = ImGui::GetColorU32(ImGuiCol_Text);
  list.AddText(below, text, scale.lowest.c_str());
  list.AddText({below.x + width - high_width, below.y}, text, scale.highest.c_str());
  if (scale.mark < 0) return;
  const float x = at.x + width * static_cast<float>(std::clamp(scale.mark, 0.0, 1.0));
  list.AddLine({x, at.y - height * 0.3f}, {x, at.y + height * 1.3f}, text, std::max(1.0f, height * 0.15f));
  const float left = std::min(x, below.x + width - high_width - height) - width_of(scale.mark_label);
  if (left > below.x + low_width + height) list.AddText({left, below.y}, text, scale.mark_label.c_str());
}

}  // namespace headroom
