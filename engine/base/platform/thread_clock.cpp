// CPU time of the calling thread (Linux). See thread_clock.h.
#include "engine/base/platform/thread_clock.h"

#include <ctime>

namespace headroom {

double thread_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace headroom
