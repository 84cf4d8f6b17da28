// How long work is cancelled: its caller passes a StopQuestion, the work calls it now and then, and the caller catches
// Cancelled.
#pragma once

#include <cstdint>
#include <functional>

namespace headroom {

/// Returns true if the work is no longer wanted. An empty function is never called.
using StopQuestion = std::function<bool()>;

/// Thrown by work whose StopQuestion returned true. Whoever passed the question catches it.
struct Cancelled {};

/// Asks the question once in so many steps, since a question may take a lock.
class StopClock {
 public:
  /// The question must outlive the clock.
  explicit StopClock(const StopQuestion& stop, uint32_t steps_per_question = 16384)
      : stop_(stop), steps_per_question_(steps_per_question), n_left_(steps_per_question) {}
  /// One step of the work. Throws Cancelled.
  void step() {
    if (--n_left_ > 0) return;
    n_left_ = steps_per_question_;
    if (stop_ && stop_()) throw Cancelled{};
  }

 private:
  const StopQuestion& stop_;
  const uint32_t steps_per_question_;
  uint32_t n_left_;
};

}  // namespace headroom
