// The clock of stages and turns: monotonic, in milliseconds. A leaf of the tree.
#pragma once

#include <chrono>

namespace headroom {

using Clock = std::chrono::steady_clock;

inline double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace headroom
