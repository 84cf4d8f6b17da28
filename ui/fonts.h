// The fonts of the window: Roboto and Inconsolata, which are in the program, and behind them what the system has for
// Greek, Chinese, emoji … Glyphs are drawn on demand, at any size; a font that is missing or damaged is left out.
#pragma once

#include <imgui.h>

namespace headroom {

struct Fonts {
  ImFont* text = nullptr;
  ImFont* bold = nullptr;
  ImFont* monospaced = nullptr;
};

/// Puts the system's fonts behind those of the current imgui_rich_md context and makes its text font the one of the
/// current ImGui context; before the first frame. Never fails: what comes with the program is always there.
Fonts add_fonts();

}  // namespace headroom
