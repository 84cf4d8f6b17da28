// Switches between the two. See chat_window.h.
#include "app/desktop/chat_window.h"

#include "engine/base/error.h"

namespace headroom {

ChatWindow::ChatWindow(Controller& chat) : chat_(chat) {
  chat_.on_open_recording = [this](const std::string& path) { recording_to_open_ = path; };
}

bool ChatWindow::poll() {
  bool changed = chat_.poll();
  if (closes_) {
    replay_.reset();
    closes_ = false;
    changed = true;
  }
  if (!recording_to_open_.empty()) {
    open_recording(recording_to_open_);
    recording_to_open_.clear();
    changed = true;
  }
  if (replay_) changed = replay_->poll() || changed;
  return changed;
}

/// If the recording cannot be read, the window keeps showing what it shows.
void ChatWindow::open_recording(const std::string& path) {
  try {
    Replay next(path);
    replay_.emplace(std::move(next));
  } catch (const Error& error) {
    chat_.add_warning(std::string("The recording was not opened: ") + error.what());
    return;
  }
  replay_->on_set_clipboard = [this](const std::string& text) { chat_.set_clipboard(text); };
  replay_->on_settings_changed = [this] { chat_.settings_changed(); };
  // Texts and models go to the chat, so the recording is closed.
  replay_->on_open_files = [this](const std::vector<std::string>& paths) {
    chat_.open_files(paths);
    closes_ = true;
  };
  replay_->set_chat_behind([this] { closes_ = true; });
}

}  // namespace headroom
