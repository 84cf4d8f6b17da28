// The fonts of the window: Roboto and Inconsolata, which are in the program, then the system's fonts for Greek,
// Chinese, emoji and others. Glyphs are rasterized on demand at any size. A font that is missing or damaged is left
// out.
#pragma once

#include <imgui.h>

namespace headroom {

struct Fonts {
  ImFont* text = nullptr;
  ImFont* bold = nullptr;
  ImFont* monospaced = nullptr;
};

/// Adds the system's fonts as fallbacks to those of the current imgui_rich_md context, and makes its text font the
/// default of the current ImGui context. Call it before the first frame. Never fails: the program has its own fonts.
Fonts add_fonts();

}  // namespace headroom
