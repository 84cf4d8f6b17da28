// Everything the window shows. One call draws a frame from the state of the engine (Mirror) and of the chats
// (ChatView). Includes telemetry and base only; acts through Actions. Knows no device, no window system, no database.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

class Ui {
 public:
  Ui();
  ~Ui();
  /// Draws one frame. panel: the only panel to draw, over the whole picture ("transcript", "heads", "memory", "policy",
  /// "chats", "help"); empty: the whole window.
  void draw(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions,
            const std::string& panel = "");
  static std::vector<std::string> panel_names();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom
