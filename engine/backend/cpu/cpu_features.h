// Which instruction sets this processor offers, and which of them the program uses: the most capable level, or a lower
// one where HEADROOM_CPU names it. The matrix product picks its kernels by it. Knows nothing of tensors.
#pragma once

#include <string_view>

namespace headroom {

/// In order: each level includes the ones before it.
enum class CpuLevel { portable, avx2, avx512, avx512vnni };

/// "portable", "avx2", "avx512", "avx512vnni": the values of HEADROOM_CPU.
std::string_view cpu_level_name(CpuLevel level);

/// For people: "portable C++", "AVX2", "AVX-512", "AVX-512 VNNI".
std::string_view cpu_level_title(CpuLevel level);

/// What the processor and the operating system support.
CpuLevel best_cpu_level();

/// The level to use: HEADROOM_CPU where it is set, else the best one. The variable is read at each call.
/// Throws Error where it names no level, or one that this processor does not have.
CpuLevel chosen_cpu_level();

}  // namespace headroom
