// The kernels of an instruction set as one table, and the choice of a kernel by the weight's type: the last of the
// files that a matmul_<instruction set>.cpp includes. The types come from the list in engine/base/tensor_types.def.
// Included into one .cpp only, after one of the matmul_simd files; everything has internal linkage.
#pragma once

#include "engine/backend/cpu/matmul_float_kernels-inl.h"
#include "engine/backend/cpu/matmul_kernels-inl.h"

namespace headroom {
namespace {

template <typename Format>
void gemv_of(const MatmulJob& job) {
  if constexpr (requires { Format::value_bytes; })
    gemv_floats<Format>(job);
  else
    gemv_quantised<Format>(job);
}

template <typename Format>
void gemm_of(const MatmulJob& job, std::byte* scratch) {
  if constexpr (requires { Format::value_bytes; })
    gemm_floats<Format>(job, scratch);
  else
    gemm_quantised<Format>(job, scratch);
}

void gemv(const MatmulJob& job) {
  switch (job.type) {
#define HEADROOM_TENSOR_TYPE(id, Format, ...) \
  case TensorType::id:                        \
    return gemv_of<Format>(job);
#include "engine/base/tensor_types.def"
  }
}

void gemm(const MatmulJob& job, std::byte* scratch) {
  switch (job.type) {
#define HEADROOM_TENSOR_TYPE(id, Format, ...) \
  case TensorType::id:                        \
    return gemm_of<Format>(job, scratch);
#include "engine/base/tensor_types.def"
  }
}

constexpr MatmulKernels kernels = {
    Simd::tile_rows,
    quantised_scratch_bytes > float_scratch_bytes ? quantised_scratch_bytes : float_scratch_bytes,
    quantised_row_bytes,
    quantised_tile_bytes,
    quantise_row,
    quantise_tile,
    gemv,
    gemm,
};

}  // namespace
}  // namespace headroom
