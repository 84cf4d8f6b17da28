// The user's settings in the window and unsent drafts ◄─► settings.json in the configuration folder. A damaged file
// gives the defaults and is kept beside the new one.
#pragma once

#include <string>

#include "ui/view.h"

namespace headroom {

struct WindowSettings {
  int width = 1280, height = 800;
};

/// Fills the settings of `state`; returns a sentence if the file could not be used, else an empty string.
std::string load_settings(const std::string& path, UiState& state, WindowSettings& window);
/// Returns a sentence if the file could not be written, else an empty string.
std::string save_settings(const std::string& path, const UiState& state, const WindowSettings& window);

}  // namespace headroom
