// The few small things that several panels draw: text that is cut with "…" where it does not fit, explanations on
// hover, meters. All sizes follow the font. Knows ImGui only.
#pragma once

#include <imgui.h>

#include <string>
#include <string_view>

namespace headroom {

/// Wrapped explanation of the item before, after the usual delay; also of a disabled one.
void explain(const char* text);
inline void explain(const std::string& text) {
  explain(text.c_str());
}

/// One line, at most `width` wide (0: what is left), cut with "…"; the whole of it on hover where it was cut.
void elided_text(std::string_view text, float width = 0);
/// The same without an item: into a rectangle. True if something was cut.
bool draw_elided(ImDrawList& list, ImVec2 min, ImVec2 max, ImU32 color, std::string_view text);

/// Text that wraps at the right edge; dimmed_text in the colour of what is secondary.
void wrapped_text(const std::string& text);
void dimmed_text(const std::string& text);

/// A sentence in the middle of what is left, for a panel that has nothing to show.
void empty_panel_text(const char* sentence);

/// A thin bar of `share` (0 to 1), one line high and `width` wide, with text in it.
void meter(double share, ImU32 color, const char* text, float width);

/// "name", dimmed and in its own line where the value would not fit beside it; then the value. Both explained.
void figure(const char* name, const std::string& value, const char* explanation);

/// Whether what is under the mouse is meant: not after a key, until the mouse moves again. ImGui would draw a card of
/// what a resting mouse covers at the item that has the keyboard.
bool is_pointing();

/// Width of one line.
float width_of(std::string_view text);

/// Moves to the same line if `width` more fits there.
void same_line_if_fits(float width);

}  // namespace headroom
