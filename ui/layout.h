// Where panels stand at first, for windows from 640x480 to 4K and any zoom: a wide window shows them side by side, a
// small one as tabs. Knows the panels' windows and places, not what is in them.
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

/// Sizes in widths of the letter m: what counts is how much text fits.
LayoutKind layout_kind(float width_em, float height_em);

/// Docks the panels into the dock space, whatever was there. Between frames of its windows: before they begin.
void build_layout(ImGuiID dock_space, ImVec2 size, LayoutKind kind);

}  // namespace headroom
