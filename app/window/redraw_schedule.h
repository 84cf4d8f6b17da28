// When the next frame is due, from what happened. Plain times in seconds, no window: so that it can be tested.
#pragma once

#include <algorithm>
#include <limits>

#include "app/window/client.h"

namespace headroom {

class RedrawSchedule {
 public:
  explicit RedrawSchedule(bool is_software) : is_software_(is_software), soon_s_(is_software ? 0.1 : frame_s) {}

  /// How long the last frame took. A software driver draws with the engine's processors, and an engine whose threads
  /// wait for one another loses more than the time of a frame: while only content changes 15 of 16 parts are the
  /// engine's.
  void drawn(double duration_s) {
    if (is_software_) soon_s_ = std::clamp(16 * duration_s, 0.1, 0.5);
  }

  /// Something that the user did, or must see at once. Dear ImGui takes the events of one moment over up to three
  /// frames (a key that goes down and up), and shows a tip after resting on a thing: so more frames follow.
  void input(double now) {
    due_ = std::min(due_, std::max(now, last_ + frame_s));
    settling_ = 3;
    tip_ = now + 0.6;
  }
  void request(Redraw redraw, double now) {
    if (redraw == Redraw::now) due_ = std::min(due_, std::max(now, last_ + frame_s));
    if (redraw == Redraw::soon) due_ = std::min(due_, std::max(now, last_ + soon_s_));
  }
  /// True once for each frame to draw.
  bool take(double now) {
    if (now < next()) return false;
    if (now >= tip_) tip_ = never;
    last_ = now;
    due_ = settling_ > 0 ? now + frame_s : never;
    settling_ = std::max(settling_ - 1, 0);
    return true;
  }
  /// How long to wait for events when nothing else happens; at most half a second, since clients have timers.
  double wait_s(double now) const { return std::clamp(next() - now, 0.001, 0.5); }

 private:
  static constexpr double never = std::numeric_limits<double>::infinity();
  static constexpr double frame_s = 1.0 / 60;
  double next() const { return std::min(due_, tip_); }

  bool is_software_;
  double soon_s_;
  double last_ = -1;
  double due_ = never;
  double tip_ = never;
  int settling_ = 0;
};

}  // namespace headroom
