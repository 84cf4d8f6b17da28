// The oracle: every operation of class Backend once more, in the plainest form, one thread, sums in double. The tests
// of each backend compare with it, so it shares nothing with the fast operations but the memory they work on.
#pragma once

#include <memory>

#include "engine/backend/backend.h"

namespace headroom {

/// Backend "cpu-reference". kv_limit_bytes: slabs beyond it are refused with Error(out_of_memory); 0: no limit.
std::unique_ptr<Backend> make_reference_backend(size_t kv_limit_bytes = 0);

}  // namespace headroom
