// Replaces desktop_window.cpp in a build without the window (HEADROOM_WINDOW=OFF). The chat runs in the terminal, and a
// recording cannot be shown.
#include "app/desktop_window.h"
#include "engine/base/error.h"

namespace headroom {
namespace {

constexpr const char* reason = "this build has no window (HEADROOM_WINDOW=OFF)";

}  // namespace

std::string show_chat_window(ControllerOptions) {
  return reason;
}

void show_replay_window(const std::string&) {
  throw Error(ErrorKind::unsupported, reason);
}

std::vector<std::string> panel_names() {
  return {};
}

void draw_replay_picture(const std::string&, const PictureOptions&) {
  throw Error(ErrorKind::unsupported, reason);
}

}  // namespace headroom
