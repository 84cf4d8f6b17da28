// Events ─► the time of the next frame. Uses plain times in seconds and no window, so that it can be tested.
#pragma once

#include <algorithm>
#include <limits>

#include "app/window/client.h"

namespace headroom {

class RedrawSchedule {
 public:
  explicit RedrawSchedule(bool is_software) : is_software_(is_software), soon_s_(is_software ? 0.1 : frame_s) {}

  /// Reports how long the last frame took. A software driver draws on the engine's processors, and engine threads that
  /// wait for one another lose more than the time of the frame. So while only content changes, 15/16 of the time is
  /// left to the engine.
  void drawn(double duration_s) {
    if (is_software_) soon_s_ = std::clamp(16 * duration_s, 0.1, 0.5);
  }

  /// The user did something, or must see something at once. Dear ImGui spreads simultaneous events (a key pressed and
  /// released) over up to three frames, and shows a tooltip after a delay. So more frames follow.
  void input(double now) {
    due_ = std::min(due_, std::max(now, last_ + frame_s));
    settling_ = 3;
    tip_ = now + 0.6;
  }
  void request(Redraw redraw, double now) {
    if (redraw == Redraw::now) due_ = std::min(due_, std::max(now, last_ + frame_s));
    if (redraw == Redraw::soon) due_ = std::min(due_, std::max(now, last_ + soon_s_));
  }
  /// True once per frame to draw.
  bool take(double now) {
    if (now < next()) return false;
    if (now >= tip_) tip_ = never;
    last_ = now;
    due_ = settling_ > 0 ? now + frame_s : never;
    settling_ = std::max(settling_ - 1, 0);
    return true;
  }
  /// How long to wait for events. At most half a second, since clients have timers.
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
