// One strip a banner: a bar in the colour of its kind, the sentence, buttons for what it offers.
#include "ui/banner.h"

#include <imgui.h>

#include "ui/shortcuts.h"
#include "ui/theme.h"
#include "ui/widgets.h"

namespace headroom {
namespace {

ImU32 color_of(Banner::Kind kind, bool dark) {
  switch (kind) {
    case Banner::Kind::failure:
      return failure_color(dark);
    case Banner::Kind::warning:
      return warning_color(dark);
    default:
      return ImGui::GetColorU32(ImGuiCol_ButtonActive);
  }
}

void button(const char* label, Action action, const Mirror& mirror, const ChatView& chat, UiState& state,
            Actions& actions) {
  if (ImGui::Button(label)) perform(action, mirror, chat, state, actions);
  explain(std::string(shortcut_of(action).what) + " (" + key_text(action) + ")");
  const ImGuiStyle& style = ImGui::GetStyle();
  const char* next = "Dismiss";
  const float width = ImGui::CalcTextSize(next).x + 2 * style.FramePadding.x;
  same_line_if_fits(width);
}

}  // namespace

void draw_banners(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, BannerState& own) {
  own.n_drawn = 0;
  for (const Banner& banner : chat.banners) {
    ImGui::PushID(own.n_drawn);
    ImGui::PushStyleColor(ImGuiCol_ChildBg, ImGui::GetStyleColorVec4(ImGuiCol_PopupBg));
    const float bar = ImGui::GetFontSize() * 0.3f;
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {bar * 3, bar * 1.5f});
    constexpr auto fits_text = ImGuiChildFlags_AutoResizeY | ImGuiChildFlags_AlwaysUseWindowPadding;
    if (ImGui::BeginChild("###banner", {0, 0}, fits_text, ImGuiWindowFlags_NoScrollbar)) {
      const ImVec2 min = ImGui::GetWindowPos(), size = ImGui::GetWindowSize();
      ImDrawList& list = *ImGui::GetWindowDrawList();
      list.PushClipRect(min, {min.x + size.x, min.y + size.y});
      list.AddRectFilled(min, {min.x + bar, min.y + size.y}, color_of(banner.kind, state.dark));
      list.PopClipRect();
      ImGui::PushTextWrapPos(0);
      ImGui::TextUnformatted(banner.text.c_str());
      ImGui::PopTextWrapPos();
      if (banner.offers_restart)
        button("Restart the engine###restart", Action::restart_engine, mirror, chat, state, actions);
      if (banner.offers_undo) button("Undo###undo", Action::undo_delete, mirror, chat, state, actions);
      // The Actions know the oldest banner only as "the" banner.
      if (own.n_drawn == 0) {
        if (ImGui::Button("Dismiss###dismiss")) actions.dismiss_banner();
        explain(std::string("Close this message (") + key_text(Action::dismiss_banner) + ")");
      }
    }
    ImGui::EndChild();
    ImGui::PopStyleVar();
    ImGui::PopStyleColor();
    ImGui::PopID();
    ++own.n_drawn;
  }
}

}  // namespace headroom
