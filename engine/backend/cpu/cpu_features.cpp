// Asks the processor (cpuid, through the compiler's run-time) and the environment for the instruction set to use.
#include "engine/backend/cpu/cpu_features.h"

#include <cstdlib>
#include <string>

#include "engine/base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace headroom {
namespace {

constexpr CpuLevel all_levels[] = {CpuLevel::portable, CpuLevel::avx2, CpuLevel::avx512, CpuLevel::avx512vnni};

#if defined(__x86_64__)
// Not every compiler's __builtin_cpu_supports knows F16C; the builtins below check that the system saves the registers.
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & (1u << 29)) != 0;
}
#endif

}  // namespace

std::string_view cpu_level_name(CpuLevel level) {
  constexpr std::string_view names[] = {"portable", "avx2", "avx512", "avx512vnni"};
  return names[static_cast<int>(level)];
}

std::string_view cpu_level_title(CpuLevel level) {
  constexpr std::string_view titles[] = {"portable C++", "AVX2", "AVX-512", "AVX-512 VNNI"};
  return titles[static_cast<int>(level)];
}

CpuLevel best_cpu_level() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c()) return CpuLevel::portable;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
    return CpuLevel::avx2;
  }
  return __builtin_cpu_supports("avx512vnni") ? CpuLevel::avx512vnni : CpuLevel::avx512;
#else
  return CpuLevel::portable;
#endif
}

CpuLevel chosen_cpu_level() {
  const CpuLevel best = best_cpu_level();
  const char* wanted = std::getenv("HEADROOM_CPU");
  if (wanted == nullptr || *wanted == '\0') return best;
  for (CpuLevel level : all_levels) {
    if (cpu_level_name(level) != wanted) continue;
    if (level <= best) return level;
    throw Error(ErrorKind::unsupported, "HEADROOM_CPU is \"" + std::string(wanted) +
                                            "\", but this processor offers at most \"" +
                                            std::string(cpu_level_name(best)) + "\".");
  }
  throw Error("HEADROOM_CPU is \"" + std::string(wanted) + "\"; expected portable, avx2, avx512 or avx512vnni.");
}

}  // namespace headroom
