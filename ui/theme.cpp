// Theme ─► ImGuiStyle and colours of data. All colour values are in this file.
#include "ui/theme.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace headroom {
namespace {

constexpr ImU32 rgb(uint32_t hex) {
  return IM_COL32((hex >> 16) & 255, (hex >> 8) & 255, hex & 255, 255);
}

struct Shades {
  uint32_t window, panel, popup, frame, frame_hovered, frame_active, border, text, text_dim, accent, accent_hovered,
      accent_active, selection, warning, failure;
};
// Text, dimmed or not, has a contrast of at least 4.5:1 on every background that carries text.
constexpr Shades dark_shades = {0x17191E, 0x1C1F25, 0x22262D, 0x2A2F38, 0x353C47, 0x414A57, 0x3C434E, 0xE6E8EC,
                                0xA9B0BC, 0x2B5F8F, 0x306A97, 0x3C7FB5, 0x2F5C86, 0xF0B429, 0xFF8A75};
constexpr Shades light_shades = {0xFAFAF8, 0xF3F3F0, 0xFFFFFF, 0xE7E8E4, 0xDADCD7, 0xCCCFC9, 0xC3C6C0, 0x1B1D21,
                                 0x50555E, 0xB9D7F0, 0xA6CBEA, 0x92BFE4, 0xB5D6F2, 0x7A5200, 0xB3261E};

ImVec4 color(uint32_t hex, float alpha = 1.0f) {
  ImVec4 value = ImGui::ColorConvertU32ToFloat4(rgb(hex));
  value.w = alpha;
  return value;
}

void set_colors(ImGuiStyle& style, const Shades& s, bool dark) {
  if (dark) {
    ImGui::StyleColorsDark(&style);
  } else {
    ImGui::StyleColorsLight(&style);
  }
  ImVec4* colors = style.Colors;
  const auto set = [&](std::initializer_list<ImGuiCol> which, uint32_t hex, float alpha = 1.0f) {
    for (ImGuiCol i : which) colors[i] = color(hex, alpha);
  };
  set({ImGuiCol_Text, ImGuiCol_InputTextCursor, ImGuiCol_CheckMark}, s.text);
  set({ImGuiCol_TextDisabled}, s.text_dim);
  set({ImGuiCol_WindowBg, ImGuiCol_DockingEmptyBg}, s.window);
  set({ImGuiCol_TitleBg, ImGuiCol_TitleBgActive, ImGuiCol_TitleBgCollapsed, ImGuiCol_MenuBarBg, ImGuiCol_ScrollbarBg},
      s.panel);
  set({ImGuiCol_ChildBg}, s.window, 0.0f);
  set({ImGuiCol_PopupBg}, s.popup);
  set({ImGuiCol_FrameBg, ImGuiCol_TableHeaderBg}, s.frame);
  set({ImGuiCol_FrameBgHovered, ImGuiCol_ScrollbarGrab}, s.frame_hovered);
  set({ImGuiCol_FrameBgActive, ImGuiCol_ScrollbarGrabHovered, ImGuiCol_ScrollbarGrabActive}, s.frame_active);
  set({ImGuiCol_Border, ImGuiCol_Separator, ImGuiCol_TableBorderLight, ImGuiCol_TableBorderStrong}, s.border);
  set({ImGuiCol_Button, ImGuiCol_Header, ImGuiCol_TabSelected, ImGuiCol_TabDimmedSelected}, s.accent);
  set({ImGuiCol_ButtonHovered, ImGuiCol_HeaderHovered, ImGuiCol_TabHovered, ImGuiCol_SeparatorHovered,
       ImGuiCol_ResizeGripHovered},
      s.accent_hovered);
  set({ImGuiCol_SliderGrab, ImGuiCol_SliderGrabActive, ImGuiCol_SeparatorActive, ImGuiCol_ResizeGripActive,
       ImGuiCol_NavCursor, ImGuiCol_DockingPreview},
      s.accent_active);
  set({ImGuiCol_Tab, ImGuiCol_TabDimmed}, s.panel);
  set({ImGuiCol_TextSelectedBg, ImGuiCol_ButtonActive, ImGuiCol_HeaderActive}, s.selection);
  set({ImGuiCol_ModalWindowDimBg}, 0x000000, 0.45f);
}

// Linear light of one channel, as WCAG 2.1 defines it.
float linear(ImU32 packed, int shift) {
  const float c = static_cast<float>((packed >> shift) & 255) / 255.0f;
  return c <= 0.04045f ? c / 12.92f : std::pow((c + 0.055f) / 1.055f, 2.4f);
}
float luminance(ImU32 c) {
  return 0.2126f * linear(c, IM_COL32_R_SHIFT) + 0.7152f * linear(c, IM_COL32_G_SHIFT) +
         0.0722f * linear(c, IM_COL32_B_SHIFT);
}

}  // namespace

void apply_theme(bool dark, float zoom) {
  ImGuiStyle style;
  const float display_scale = ImGui::GetStyle().FontScaleDpi;
  style.WindowRounding = style.ChildRounding = style.PopupRounding = 4.0f;
  style.FrameRounding = style.GrabRounding = style.TabRounding = 3.0f;
  style.WindowPadding = ImVec2(10, 8);
  style.FramePadding = ImVec2(8, 4);
  style.ItemSpacing = ImVec2(8, 6);
  style.ScrollbarSize = 12.0f;
  style.WindowBorderSize = style.ChildBorderSize = style.PopupBorderSize = 1.0f;
  style.ScaleAllSizes(zoom * display_scale);
  set_colors(style, dark ? dark_shades : light_shades, dark);
  style.FontSizeBase = ImGui::GetStyle().FontSizeBase;  // that of the current frame
  style._NextFrameFontSizeBase = base_font_size;
  style.FontScaleMain = zoom;
  style.FontScaleDpi = display_scale;
  ImGui::GetStyle() = style;
}

ImU32 category_color(int index, bool dark) {
  static constexpr std::array<uint32_t, n_category_colors> on_dark = {0xC8CCD4, 0xE69F00, 0x56B4E9, 0x00A162,
                                                                      0xF0E442, 0x216BCF, 0xD55E00, 0xCC79A7};
  static constexpr std::array<uint32_t, n_category_colors> on_light = {0x4A4F58, 0xFF7010, 0x3FA3DC, 0x007A5A,
                                                                       0x6EA711, 0x035596, 0xC04000, 0xB85A92};
  const auto i = static_cast<size_t>(((index % n_category_colors) + n_category_colors) % n_category_colors);
  return rgb((dark ? on_dark : on_light)[i]);
}

ImU32 scale_color(float share) {
  static constexpr std::array<uint32_t, 9> viridis = {0x440154, 0x472D7B, 0x3B528B, 0x2C728E, 0x21918C,
                                                      0x28AE80, 0x5EC962, 0xADDC30, 0xFDE725};
  const float at = share > 0 ? std::min(share, 1.0f) * (viridis.size() - 1) : 0.0f;
  const auto low = std::min(static_cast<size_t>(at), viridis.size() - 2);
  const float part = at - static_cast<float>(low);
  const ImVec4 a = color(viridis[low]), b = color(viridis[low + 1]);
  return ImGui::ColorConvertFloat4ToU32(
      ImVec4(a.x + (b.x - a.x) * part, a.y + (b.y - a.y) * part, a.z + (b.z - a.z) * part, 1.0f));
}

float contrast(ImU32 a, ImU32 b) {
  const float x = luminance(a), y = luminance(b);
  return (std::max(x, y) + 0.05f) / (std::min(x, y) + 0.05f);
}

ImU32 text_on(ImU32 background) {
  return contrast(IM_COL32_BLACK, background) >= contrast(IM_COL32_WHITE, background) ? IM_COL32_BLACK : IM_COL32_WHITE;
}

ImU32 warning_color(bool dark) {
  return rgb((dark ? dark_shades : light_shades).warning);
}
ImU32 failure_color(bool dark) {
  return rgb((dark ? dark_shades : light_shades).failure);
}

}  // namespace headroom
