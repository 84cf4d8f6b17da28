// The windows of the panels: their names, the flags that show them, their initial places. The rows come from
// ui/panels.def. The frame, the layout, the settings and the tests use them. Knows no panel and no toolkit.
#pragma once

#include "ui/view.h"

namespace headroom {

/// Names of windows; the part behind ### is the id.
inline constexpr const char* transcript_window = "Chat###transcript";
inline constexpr const char* help_window = "Help###help";
#define HEADROOM_PANEL(id, title, ...) inline constexpr const char* id##_window = title "###" #id;
#include "ui/panels.def"

enum class PanelPlace { left, right_top, right_middle, right_bottom };

/// A panel that can be closed.
struct Panel {
  const char* name;
  const char* title;
  const char* window;
  bool UiState::*is_shown;
  const char* setting;  // its key in settings.json
  PanelPlace place;
};

inline constexpr Panel side_panels[] = {
#define HEADROOM_PANEL(id, title, place, ...) \
  {#id, title, id##_window, &UiState::show_##id, "show_" #id, PanelPlace::place},
#include "ui/panels.def"
};

}  // namespace headroom
