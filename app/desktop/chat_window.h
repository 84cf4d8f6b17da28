// Selects what a chat's window shows: the chat, or a recording that was opened over it. The chat and its engine keep
// running meanwhile. Draws nothing itself.
#pragma once

#include <optional>
#include <string>

#include "app/desktop/controller.h"
#include "app/desktop/replay.h"

namespace headroom {

class ChatWindow {
 public:
  explicit ChatWindow(Controller& chat);

  bool poll();  // true if something that is shown has changed
  const Mirror& mirror() const { return replay_ ? replay_->mirror() : chat_.mirror(); }
  const ChatView& view() const { return replay_ ? replay_->view() : chat_.view(); }
  Actions& actions() { return replay_ ? static_cast<Actions&>(*replay_) : chat_; }
  bool wants_to_quit() const { return chat_.wants_to_quit() || (replay_ && replay_->wants_to_quit()); }
  void close() { chat_.close(); }

 private:
  void open_recording(const std::string& path);

  Controller& chat_;
  std::optional<Replay> replay_;
  // Requests from inside a frame; poll() handles them, since the frame still uses the current source.
  std::string recording_to_open_;
  bool closes_ = false;
};

}  // namespace headroom
