// A window of the desktop ◄─► a client: input in, frames out, drawn only when something changed. If there is no display
// or no device to draw with, returns the reason, so that the caller can use the terminal.
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
  bool was_open = false;  // false: nothing was shown and the client was not called
  std::string problem;    // a sentence; empty: the user or the client closed the window
  int width = 0;          // size when it closed, to be stored; 0: unknown
  int height = 0;
};

/// The position and size of a window, in the desktop's units.
struct WindowPlace {
  int x = 0, y = 0, width = 0, height = 0;
  bool operator==(const WindowPlace&) const = default;
};
/// Centres a window of the wanted size in the work area. Shrinks it if it does not fit together with a frame of the
/// given width and height.
WindowPlace place_within(const WindowPlace& work_area, int width, int height, int frame_width, int frame_height);

/// Opens the window and returns when it is closed. Call it from the main thread, for one window at a time. If the
/// window was open, it calls the client's closing() before it returns, even after the device failed. opened: called
/// once when the window is open, with the name of the device and whether it is a software driver.
WindowResult run_window(WindowClient& client, const WindowOptions& options,
                        const std::function<void(const std::string& device, bool is_software)>& opened = {});

/// Copies to the desktop's clipboard. Call it only from draw_frame() or poll().
void copy_to_clipboard(const std::string& text);

/// Ends the window's wait for events, so that poll() is called soon. May be called from any thread at any time.
void wake_window();

}  // namespace headroom
