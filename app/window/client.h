// The interface between a host (a window, or an off-screen picture) and the program inside it. The host owns the
// device, the ImGui context and the loop; the client owns everything that is shown.
#pragma once

#include <string>
#include <vector>

namespace headroom {

/// How soon the next frame must be drawn.
enum class Redraw {
  none,  // nothing that is shown has changed
  soon,  // only content changed (tokens, meters): within 100 ms is early enough on a software driver
  now,   // a reaction to the user, or something that moves under the pointer
};

class WindowClient {
 public:
  virtual ~WindowClient() = default;
  /// Handles what arrived since the last call (engine events, timers). Called on the host's thread before each wait and
  /// each frame.
  virtual Redraw poll() = 0;
  /// Builds one frame, between ImGui::NewFrame and ImGui::Render.
  virtual void draw_frame() = 0;
  virtual void files_dropped(const std::vector<std::string>& paths) = 0;
  /// The window is about to close. Everything must be on disk when this returns, in well under a second.
  virtual void closing() = 0;
  /// True once the user asked to quit inside the program.
  virtual bool wants_to_quit() const = 0;
  /// Shown in the title bar.
  virtual std::string title() const = 0;
};

}  // namespace headroom
