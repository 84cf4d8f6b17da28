// The colours and measures of the window, dark and light, and the colours of data: categories (policies), which the
// colour-blind can tell apart too, and a scale for shares and sizes. Knows no panel.
#pragma once

#include <imgui.h>

#include <cstdint>

namespace headroom {

/// Sets the whole style of the current ImGui context: colours, and measures times zoom and the display's scale
/// (ImGuiStyle::FontScaleDpi, which the host sets and this keeps). Cheap; called before the first widget of a frame.
void apply_theme(bool dark, float zoom);

/// Pixels of a line of text, before zoom and the display's scale.
inline constexpr float base_font_size = 16.0f;

/// The colour of category `index` modulo n_category_colors. These are the Okabe-Ito colours (2008), moved until any two
/// differ under normal sight and the three colour blindnesses. Each also differs from the window behind it.
inline constexpr int n_category_colors = 8;
ImU32 category_color(int index, bool dark);

/// A share, 0 … 1, as a colour of viridis (van der Walt and Smith, 2015), whose lightness grows evenly. It is the same
/// in both themes. Values outside are clamped; NaN gets the colour of 0.
ImU32 scale_color(float share);

/// Black or white, whichever is easier to read on the background.
ImU32 text_on(ImU32 background);

/// WCAG contrast of two opaque colours, 1 … 21.
float contrast(ImU32 a, ImU32 b);

/// Text colours that ImGuiStyle does not have.
ImU32 warning_color(bool dark);
ImU32 failure_color(bool dark);

}  // namespace headroom
