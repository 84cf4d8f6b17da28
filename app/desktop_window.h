// The program inside the window: a Controller or a Replay, the Ui that shows it, and the settings that outlive both.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/desktop/controller.h"

namespace headroom {

/// Shows a live chat until its window is closed. Empty paths get their usual places. Returns a sentence if there is no
/// display or no device to draw with, else an empty string. Throws Error if the window failed while it was open.
std::string show_chat_window(ControllerOptions options);
/// Shows a trace. Throws Error, also if no window can be opened.
void show_replay_window(const std::string& trace_path);

/// "chats", "transcript", "heads", …: the values of --panel.
std::vector<std::string> panel_names();

/// A trace at one moment as a picture.
struct PictureOptions {
  std::string png_path;
  int width = 1280, height = 800;
  float scale = 1;
  std::string panel;      // empty: the whole window
  int32_t at_token = -1;  // the first moment with at least this many tokens in the cache; -1: the end
  bool dark = true;
  std::optional<std::pair<int32_t, int32_t>> pinned;  // layer, KV head
};
void draw_replay_picture(const std::string& trace_path, const PictureOptions& options);

}  // namespace headroom
