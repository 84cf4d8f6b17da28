// The monotonic clock that measures stages and turns, in milliseconds. Includes nothing of the project.
#pragma once

#include <chrono>

namespace headroom {

using Clock = std::chrono::steady_clock;

inline double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace headroom
