// The menus File, Chat, View, Help. Every entry is an Action of ui/shortcuts.h, prints its key, and is disabled if the
// key would do nothing.
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

/// Draws the bar on top of the main window. `run` executes the chosen action.
void draw_menu_bar(const Mirror& mirror, const ChatView& chat, const UiState& state,
                   const std::function<void(Action)>& run);

}  // namespace headroom
