// File, Chat, View, Help: every entry is an Action of ui/shortcuts.h, prints its key, and is disabled where the key
// would do nothing.
#pragma once

#include <functional>
#include <span>

#include "ui/shortcuts.h"

namespace headroom {

struct MenuEntry {
  Action action;
  const char* label;
  bool begins_group = false;  // a line above it
};

struct Menu {
  const char* label;
  std::span<const MenuEntry> entries;
};

std::span<const Menu> menus();

/// A bar on top of the main window. `run` does what was chosen.
void draw_menu_bar(const Mirror& mirror, const ChatView& chat, const UiState& state,
                   const std::function<void(Action)>& run);

}  // namespace headroom
