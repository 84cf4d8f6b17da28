// A host without a display: a client's frames in a picture, or built and thrown away (no Vulkan needed). The same
// frames give the same bytes: time, pointer and size are fixed, nothing is read from or kept in files but fonts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/window/client.h"

namespace headroom {

enum class Rasterize { yes, no };

class OffscreenHost {
 public:
  /// Pixels, and how many of them make one of a usual display. Throws Error(device) where a picture is asked for and
  /// no Vulkan device can draw it.
  OffscreenHost(int width, int height, float scale, Rasterize rasterize = Rasterize::yes);
  ~OffscreenHost();

  /// One sixtieth of a second: what arrived is taken in, the frame is built and drawn. Its ImGui context is the current
  /// one from here on.
  void frame(WindowClient& client);

  /// The last frame.  (height, width, 4), u8, opaque
  std::vector<uint8_t> read_rgba() const;
  int width() const;
  int height() const;
  /// "llvmpipe …"; empty where nothing is rasterized.
  std::string device_name() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Throws Error(io) with the path where the file cannot be written.
void write_png(const std::string& path, int width, int height, const std::vector<uint8_t>& rgba);

}  // namespace headroom
