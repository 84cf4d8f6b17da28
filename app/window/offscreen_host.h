// A host without a display: a client's frames ─► a picture, or nothing if frames are only built (no Vulkan needed).
// Equal frames give equal bytes: time, pointer and size are fixed, and only fonts are read from files.
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
  /// width and height in pixels; scale: pixels per unit of a standard display. Throws Error(device) if a picture is
  /// asked for and no Vulkan device can draw it.
  OffscreenHost(int width, int height, float scale, Rasterize rasterize = Rasterize::yes);
  ~OffscreenHost();

  /// Advances time by 1/60 s, polls the client, and builds and draws one frame. Leaves this host's ImGui context as the
  /// current one.
  void frame(WindowClient& client);

  /// The last frame.  (height, width, 4), u8, opaque
  std::vector<uint8_t> read_rgba() const;
  int width() const;
  int height() const;
  /// "llvmpipe …"; empty if nothing is rasterized.
  std::string device_name() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Throws Error(io) with the path if the file cannot be written.
void write_png(const std::string& path, int width, int height, const std::vector<uint8_t>& rgba);

}  // namespace headroom
