// One strip per banner: a bar in the colour of its kind, the sentence, buttons for what it offers. However many and
// long the banners are, the conversation below keeps most of the room, and Dismiss is in sight.
#include "ui/banner.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <vector>

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

float button_width(const char* label) {
  return width_of(label) + 2 * ImGui::GetStyle().FramePadding.x;
}

/// Height of a banner, computed before it is drawn. A child that measures itself by drawing is too low in its first
/// frame, and no second frame follows if nothing else happens.
float height_of(const Banner& banner, bool can_be_dismissed, float max_sentence_height) {
  const ImGuiStyle& style = ImGui::GetStyle();
  const float width = ImGui::GetContentRegionAvail().x - 2 * style.WindowPadding.x;
  const float sentence = ImGui::CalcTextSize(banner.text.c_str(), nullptr, false, width).y;
  float height = 2 * style.WindowPadding.y + std::min(sentence, max_sentence_height);
  float row = width + 1;  // so that the first button begins a row
  const auto add = [&](bool is_there, const char* label) {
    if (!is_there) return;
    row += style.ItemSpacing.x + button_width(label);
    if (row > width) {
      row = button_width(label);
      height += style.ItemSpacing.y + ImGui::GetFrameHeight();
    }
  };
  add(banner.offers_restart, "Restart the engine");
  add(banner.offers_undo, "Undo");
  add(can_be_dismissed, "Dismiss");
  return std::ceil(height);
}

void button(const char* label, Action action, const Mirror& mirror, const ChatView& chat, UiState& state,
            Actions& actions) {
  if (ImGui::Button(label)) perform(action, mirror, chat, state, actions);
  explain(std::string(shortcut_of(action).what) + " (" + key_text(action) + ")");
  same_line_if_fits(button_width("Dismiss"));
}

constexpr int max_shown = 3;
constexpr float max_share_of_room = 0.4f;

/// Draws the sentence; it scrolls if it is higher than max_height.
void draw_sentence(const std::string& text, float max_height) {
  const float width = ImGui::GetContentRegionAvail().x;
  const bool is_long = ImGui::CalcTextSize(text.c_str(), nullptr, false, width).y > max_height;
  if (is_long) ImGui::BeginChild("###sentence", {0, max_height});
  ImGui::PushTextWrapPos(0);
  ImGui::TextUnformatted(text.c_str());
  ImGui::PopTextWrapPos();
  if (is_long) ImGui::EndChild();
}

/// Indices of the banners to show: the oldest, which Dismiss closes, and the newest.
std::vector<size_t> shown_banners(size_t n_banners) {
  std::vector<size_t> shown;
  for (size_t i = 0; i < n_banners; ++i)
    if (i == 0 || i + (max_shown - 1) >= n_banners) shown.push_back(i);
  return shown;
}

}  // namespace

void draw_banners(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, BannerState& own) {
  own.n_drawn = 0;
  const std::vector<size_t> shown = shown_banners(chat.banners.size());
  if (shown.empty()) return;
  const float room = ImGui::GetContentRegionAvail().y * max_share_of_room / static_cast<float>(shown.size());
  const float max_height = std::max(room - 2 * ImGui::GetFrameHeightWithSpacing(), 2 * ImGui::GetTextLineHeight());
  bool wants_dismissal = false;
  for (const size_t index : shown) {
    if (index >= chat.banners.size()) break;  // a button of this frame took one away
    const Banner& banner = chat.banners[index];
    ImGui::PushID(own.n_drawn);
    ImGui::PushStyleColor(ImGuiCol_ChildBg, ImGui::GetStyleColorVec4(ImGuiCol_PopupBg));
    const float bar = ImGui::GetFontSize() * 0.3f;
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {bar * 3, bar * 1.5f});
    if (ImGui::BeginChild("###banner", {0, height_of(banner, own.n_drawn == 0, max_height)},
                          ImGuiChildFlags_AlwaysUseWindowPadding,
                          ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse)) {
      const ImVec2 min = ImGui::GetWindowPos(), size = ImGui::GetWindowSize();
      ImDrawList& list = *ImGui::GetWindowDrawList();
      list.PushClipRect(min, {min.x + size.x, min.y + size.y});
      list.AddRectFilled(min, {min.x + bar, min.y + size.y}, color_of(banner.kind, state.dark));
      list.PopClipRect();
      draw_sentence(banner.text, max_height);
      if (banner.offers_restart)
        button("Restart the engine###restart", Action::restart_engine, mirror, chat, state, actions);
      if (banner.offers_undo) button("Undo###undo", Action::undo_delete, mirror, chat, state, actions);
      // Actions::dismiss_banner always closes the oldest banner, so only that one has the button.
      if (own.n_drawn == 0) {
        wants_dismissal = ImGui::Button("Dismiss###dismiss");
        explain(std::string("Close this message (") + key_text(Action::dismiss_banner) + ")");
      }
    }
    ImGui::EndChild();
    ImGui::PopStyleVar();
    ImGui::PopStyleColor();
    ImGui::PopID();
    ++own.n_drawn;
  }
  if (chat.banners.size() > shown.size())
    ImGui::TextDisabled("and %zu more messages", chat.banners.size() - shown.size());
  // At the end, since it takes away what is drawn above.
  if (wants_dismissal) actions.dismiss_banner();
}

}  // namespace headroom
