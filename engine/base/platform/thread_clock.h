// Time that a thread computed, which other programs of the machine do not lengthen.
#pragma once

namespace headroom {

double thread_cpu_seconds();  // of the calling thread, since it began

}  // namespace headroom
