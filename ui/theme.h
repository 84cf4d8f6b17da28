// The colours and measures of the window, dark and light, and the colours of what it shows: kinds (policies) that
// differ for the colour-blind too, and a scale for shares and sizes. Knows no panel.
#pragma once

#include <imgui.h>

#include <cstdint>

namespace headroom {

/// Sets the whole style of the current ImGui context: colours, and measures times zoom and the display's scale
/// (ImGuiStyle::FontScaleDpi, which the host sets and this keeps). Cheap; called before the first widget of a frame.
void apply_theme(bool dark, float zoom);

/// Pixels of a line of text, before zoom and the display's scale.
inline constexpr float base_font_size = 16.0f;

/// A colour for a kind, 0 … n_category_colors - 1, and again from the start after them. The Okabe-Ito colours (2008),
/// moved until any two differ under normal sight and the three colour blindnesses, and from the window behind them.
inline constexpr int n_category_colors = 8;
ImU32 category_color(int index, bool dark);

/// A share, 0 … 1, as a colour: viridis (van der Walt and Smith, 2015), whose lightness grows evenly; the same in both
/// themes. Values outside are clamped, NaN is the colour of 0.
ImU32 scale_color(float share);

/// Black or white: what is easier to read on a colour.
ImU32 text_on(ImU32 background);

/// WCAG contrast of two opaque colours, 1 … 21.
float contrast(ImU32 a, ImU32 b);

/// Colours of meaning, beside those of ImGuiStyle.
ImU32 warning_color(bool dark);
ImU32 failure_color(bool dark);

}  // namespace headroom
