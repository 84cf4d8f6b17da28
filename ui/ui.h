// Everything the window shows: one call draws a frame from what is known of the engine (Mirror) and of the chats
// (ChatView). Sees telemetry and base only; acts through Actions. Knows no device, no window system, no database.
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
  /// One frame. panel: draws only this panel, filling the picture ("transcript", "heads", "memory", "policy", "chats",
  /// "help"); empty: the whole window.
  void draw(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions,
            const std::string& panel = "");
  static std::vector<std::string> panel_names();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom
