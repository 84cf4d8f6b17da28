// Small pieces that several panels draw: text cut with "…" if it does not fit, explanations on hover, meters. All sizes
// follow the font. Knows ImGui only.
#pragma once

#include <imgui.h>

#include <string>
#include <string_view>

namespace headroom {

/// A wrapped tooltip for the last item, after the usual delay; also for a disabled item.
void explain(const char* text);
inline void explain(const std::string& text) {
  explain(text.c_str());
}

/// One line, at most `width` wide (0: the rest of the line), cut with "…". If it was cut, hovering shows the whole
/// text.
void elided_text(std::string_view text, float width = 0);
/// Draws one line, cut with "…", into a rectangle; no item. Returns whether it was cut.
bool draw_elided(ImDrawList& list, ImVec2 min, ImVec2 max, ImU32 color, std::string_view text);

/// Text that wraps at the right edge; dimmed_text in the colour of secondary text.
void wrapped_text(const std::string& text);
void dimmed_text(const std::string& text);

/// A sentence in the middle of the remaining room, for a panel that has nothing to show.
void empty_panel_text(const char* sentence);

/// A thin bar of `share` (0 to 1), one line high and `width` wide, with text in it.
void meter(double share, ImU32 color, const char* text, float width);

/// The dimmed name with the value below it; both have the explanation on hover.
void figure(const char* name, const std::string& value, const char* explanation);

/// Whether the user points with the mouse: false after a key until the mouse moves again. Otherwise ImGui would draw
/// the card of the item under a resting mouse at the item that has the keyboard.
bool is_pointing();

/// Width of one line.
float width_of(std::string_view text);

/// Stays on the same line if an item of this width fits there.
void same_line_if_fits(float width);

}  // namespace headroom
