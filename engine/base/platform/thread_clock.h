// CPU time of a thread, which the load of other programs does not change.
#pragma once

namespace headroom {

double thread_cpu_seconds();  // of the calling thread, since it started

}  // namespace headroom
