// The initial places of the panels, for windows from 640x480 to 4K and any zoom: a wide window shows them side by side,
// a small one as tabs. Knows the panels' windows and places, not their content.
#pragma once

#include <imgui.h>

#include "ui/panels.h"

namespace headroom {

enum class LayoutKind {
  tall,    // everything at once
  wide,    // chats, conversation, heads and policies as tabs above memory
  narrow,  // conversation, and the others as tabs beside it
  tabs,    // one panel at a time
};

/// Sizes are in em, because what matters is how much text fits.
LayoutKind layout_kind(float width_em, float height_em);

/// Docks the panels into the dock space and replaces what was there. Call it before the frame's windows begin.
void build_layout(ImGuiID dock_space, ImVec2 size, LayoutKind kind);

}  // namespace headroom
