// The matrix product's kernels with AVX-512.
// Compiled with that instruction set's options, called only where the processor has it. Everything but the one function
// below has internal linkage: the linker may not take code from here for the rest of the program.
#include "engine/backend/cpu/matmul_kernels.h"

#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
// The kernels are written over the operations that the first file defines.
// clang-format off
#include "engine/backend/cpu/matmul_simd_avx512-inl.h"
#include "engine/backend/cpu/matmul_dispatch-inl.h"
// clang-format on

const headroom::MatmulKernels* headroom::matmul_kernels_avx512() {
  return &kernels;
}
#else
const headroom::MatmulKernels* headroom::matmul_kernels_avx512() {
  return nullptr;
}
#endif
