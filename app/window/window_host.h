// A window of the desktop ◄─► a client: input in, frames out, drawn only when something changed. Returns with a reason
// where there is no display or nothing to draw with, so that the caller can go on in the terminal.
#pragma once

#include <functional>
#include <string>

#include "app/window/client.h"

namespace headroom {

struct WindowOptions {
  int width = 1280;  // in the desktop's units, without the frame
  int height = 800;
};

struct WindowResult {
  bool was_open = false;  // false: nothing was shown, the client was not asked for anything
  std::string problem;    // a sentence; empty: it was closed by the user or the client
  int width = 0;          // when it closed, to be remembered; 0: never known
  int height = 0;
};

/// Where a window stands: a rectangle in the desktop's units.
struct WindowPlace {
  int x = 0, y = 0, width = 0, height = 0;
  bool operator==(const WindowPlace&) const = default;
};
/// The wanted size, at most what the work area has beside a frame of the given width and height; in its middle.
WindowPlace place_within(const WindowPlace& work_area, int width, int height, int frame_width, int frame_height);

/// Opens the window and stays until it is closed; call it from the main thread, once at a time. The client's closing()
/// has been called when it returns from a window that was open, after a failed device too.
/// opened: called once when the window is there, with the name of the device and whether it is a software driver.
WindowResult run_window(WindowClient& client, const WindowOptions& options,
                        const std::function<void(const std::string& device, bool is_software)>& opened = {});

/// Into the desktop's clipboard; from draw_frame() or poll() only.
void copy_to_clipboard(const std::string& text);

/// Ends the window's wait for events: poll() will be called soon. From any thread, at any time.
void wake_window();

}  // namespace headroom
