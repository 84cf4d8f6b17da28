// Makes Highway's run-time choice of an instruction set follow ours, so that HEADROOM_CPU means all operations.
#include "engine/backend/cpu/simd_targets.h"

#include "hwy/targets.h"

namespace headroom {

void limit_vector_instructions(CpuLevel level) {
  int64_t beyond = 0;
  if (level < CpuLevel::avx2) beyond |= HWY_AVX2;
  if (level < CpuLevel::avx512) beyond |= HWY_AVX3;
  hwy::DisableTargets(beyond);
}

}  // namespace headroom
