// In both themes colours are distinguishable, text is readable, and the fonts have the glyphs.
#include "ui/theme.h"

#include <imgui.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "app/window/offscreen_host.h"

using namespace headroom;

namespace {

using Triple = std::array<double, 3>;
using Matrix = std::array<Triple, 3>;

Triple linear(ImU32 packed) {
  Triple out;
  for (size_t i = 0; i < 3; ++i) {
    const double c = ((packed >> (8 * i)) & 255) / 255.0;
    out[i] = c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  }
  return out;
}

Triple times(const Matrix& m, const Triple& v) {
  Triple out = {};
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 3; ++j) out[i] += m[i][j] * v[j];
  return out;
}

/// Oklab (Ottosson, 2020) of linear sRGB.
Triple oklab(const Triple& rgb) {
  const Matrix to_cones = {{{0.4122214708, 0.5363325363, 0.0514459929},
                            {0.2119034982, 0.6806995451, 0.1073969566},
                            {0.0883024619, 0.2817188376, 0.6299787005}}};
  const Matrix to_lab = {{{0.2104542553, 0.7936177850, -0.0040720468},
                          {1.9779984951, -2.4285922050, 0.4505937099},
                          {0.0259040371, 0.7827717662, -0.8086757660}}};
  Triple cones = times(to_cones, rgb);
  for (double& c : cones) c = std::cbrt(c);
  return times(to_lab, cones);
}

/// Simulates colour blindness on linear sRGB (Machado, Oliveira and Fernandes, 2009, severity 1.0).
const std::array<std::pair<const char*, Matrix>, 4> sights = {{
    {"normal", {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}}},
    {"protanopia",
     {{{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}}}},
    {"deuteranopia",
     {{{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}}}},
    {"tritanopia",
     {{{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}}}},
}};

double distance(const Triple& a, const Triple& b) {
  return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

ImU32 over(ImU32 front, ImU32 ground) {
  const ImVec4 f = ImGui::ColorConvertU32ToFloat4(front), g = ImGui::ColorConvertU32ToFloat4(ground);
  const auto mix = [&](float a, float b) { return a * f.w + b * (1 - f.w); };
  return ImGui::ColorConvertFloat4ToU32(ImVec4(mix(f.x, g.x), mix(f.y, g.y), mix(f.z, g.z), 1));
}

}  // namespace

TEST_CASE("any two kinds can be told apart, by the colour-blind too", "[theme]") {
  const bool dark = GENERATE(true, false);
  for (const auto& [name, matrix] : sights) {
    for (int a = 0; a < n_category_colors; ++a) {
      for (int b = a + 1; b < n_category_colors; ++b) {
        std::array<Triple, 2> seen = {times(matrix, linear(category_color(a, dark))),
                                      times(matrix, linear(category_color(b, dark)))};
        for (Triple& rgb : seen)
          for (double& c : rgb) c = std::clamp(c, 0.0, 1.0);
        INFO(name << ": " << a << " and " << b);
        CHECK(distance(oklab(seen[0]), oklab(seen[1])) > 0.06);
      }
    }
  }
  CHECK(category_color(n_category_colors, dark) == category_color(0, dark));
  CHECK(category_color(-1, dark) == category_color(n_category_colors - 1, dark));
}

TEST_CASE("text can be read on every ground of the theme, and kinds be seen on it", "[theme]") {
  const bool dark = GENERATE(true, false);
  OffscreenHost host(100, 100, 1.0f, Rasterize::no);
  apply_theme(dark, 1.0f);
  const auto style = [](ImGuiCol index) { return ImGui::ColorConvertFloat4ToU32(ImGui::GetStyle().Colors[index]); };
  const ImU32 window = style(ImGuiCol_WindowBg);
  for (ImGuiCol ground :
       {ImGuiCol_WindowBg,       ImGuiCol_ChildBg,       ImGuiCol_PopupBg,       ImGuiCol_FrameBg,
        ImGuiCol_FrameBgHovered, ImGuiCol_FrameBgActive, ImGuiCol_TitleBg,       ImGuiCol_TitleBgActive,
        ImGuiCol_MenuBarBg,      ImGuiCol_Button,        ImGuiCol_ButtonHovered, ImGuiCol_ButtonActive,
        ImGuiCol_HeaderActive,   ImGuiCol_Header,        ImGuiCol_HeaderHovered, ImGuiCol_Tab,
        ImGuiCol_TabHovered,     ImGuiCol_TabSelected,   ImGuiCol_TableHeaderBg, ImGuiCol_TableRowBgAlt,
        ImGuiCol_TextSelectedBg}) {
    INFO(ImGui::GetStyleColorName(ground) << (dark ? ", dark" : ", light"));
    CHECK(contrast(style(ImGuiCol_Text), over(style(ground), window)) >= 4.5f);
  }
  for (ImGuiCol ground : {ImGuiCol_WindowBg, ImGuiCol_PopupBg, ImGuiCol_FrameBg}) {
    INFO(ImGui::GetStyleColorName(ground) << (dark ? ", dark" : ", light"));
    CHECK(contrast(style(ImGuiCol_TextDisabled), style(ground)) >= 4.5f);
    CHECK(contrast(warning_color(dark), style(ground)) >= 4.5f);
    CHECK(contrast(failure_color(dark), style(ground)) >= 4.5f);
  }
  for (int i = 0; i < n_category_colors; ++i) {
    INFO(i);
    CHECK(contrast(category_color(i, dark), window) >= 2.5f);
    CHECK(contrast(text_on(category_color(i, dark)), category_color(i, dark)) >= 4.5f);
  }
}

TEST_CASE("the scale grows lighter all the way, in even steps", "[theme]") {
  std::vector<double> lightness;
  for (int i = 0; i <= 32; ++i) lightness.push_back(oklab(linear(scale_color(static_cast<float>(i) / 32)))[0]);
  const double mean = (lightness.back() - lightness.front()) / 32;
  for (size_t i = 1; i < lightness.size(); ++i) {
    INFO(i);
    CHECK(lightness[i] > lightness[i - 1]);
    CHECK(lightness[i] - lightness[i - 1] < 2 * mean);
  }
  CHECK(scale_color(-1) == scale_color(0));
  CHECK(scale_color(2) == scale_color(1));
  CHECK(scale_color(std::numeric_limits<float>::quiet_NaN()) == scale_color(0));
}

TEST_CASE("contrast is what WCAG says", "[theme]") {
  CHECK(contrast(IM_COL32_BLACK, IM_COL32_WHITE) == Approx(21));
  CHECK(contrast(IM_COL32(119, 119, 119, 255), IM_COL32_WHITE) == Approx(4.48).margin(0.01));
  CHECK(text_on(IM_COL32(240, 228, 66, 255)) == IM_COL32_BLACK);
  CHECK(text_on(IM_COL32(0, 60, 120, 255)) == IM_COL32_WHITE);
}
