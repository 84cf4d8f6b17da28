// Which instruction sets the vectorised operations are compiled for: plain C++, AVX2 and AVX-512 on x86 (and what the
// processor always has elsewhere). Fewer than Highway offers, since each costs compile time. Included before Highway.
#pragma once

#include "engine/backend/cpu/cpu_features.h"

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)

namespace headroom {

/// From now on the operations run with the instructions of this level, at most; for the whole process.
void limit_vector_instructions(CpuLevel level);

}  // namespace headroom
