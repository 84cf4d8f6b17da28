// The matrix product's kernels in plain C++, for processors without AVX2.
// Compiled with the program's own options. The other instruction sets' files do the same with theirs.
#include "engine/backend/cpu/matmul_kernels.h"

// The kernels are written over the operations that the first file defines.
// clang-format off
#include "engine/backend/cpu/matmul_simd_portable-inl.h"
#include "engine/backend/cpu/matmul_dispatch-inl.h"
// clang-format on

const headroom::MatmulKernels* headroom::matmul_kernels_portable() {
  return &kernels;
}
