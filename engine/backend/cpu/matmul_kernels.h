// What the driver of the matrix product (matmul.cpp) and its kernels, one file an instruction set, tell each other.
// Plain structs and function pointers only: files with special compiler options include this, and must not bring
// forth any code that the linker could use elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/tensor.h"

// The kernels are one loop each only if everything in them is inlined, lambdas included.
#define HEADROOM_INLINE inline __attribute__((always_inline))
#define HEADROOM_LAMBDA __attribute__((always_inline))

namespace headroom {

/// Some rows of one weight times some rows of x. x is given in the form that the weight's type and the function take.
struct MatmulJob {
  TensorType type;
  const uint8_t* weight;  // (n_weight_rows, n_in), in the type's format
  int64_t weight_row_bytes;
  int32_t n_weight_rows;
  int32_t n_in;
  int32_t n_rows;  // of x

  const float* x;                    // (n_rows, n_in), for float weights
  int64_t x_stride;                  // floats
  const std::byte* x_quantised;      // as written by quantise_row (few rows) or quantise_tile (many)
  int64_t x_quantised_stride_bytes;  // from row to row, or from tile to tile
  int32_t first_tile, end_tile;      // many rows only
  int32_t n_tiles;                   // of all n_rows

  float* y;  // (n_rows, n_weight_rows)
  int64_t y_stride;
  const float* bias;  // (n_weight_rows), may be null
  bool accumulate;
};

/// Rows of x in tile i of n_tiles: equal shares, at most tile_rows.
struct TileRows {
  int32_t first, count;
};
static inline TileRows tile_rows_of(int32_t tile, int32_t n_tiles, int32_t n_rows) {
  const int32_t first = static_cast<int32_t>(static_cast<int64_t>(tile) * n_rows / n_tiles);
  return {first, static_cast<int32_t>(static_cast<int64_t>(tile + 1) * n_rows / n_tiles) - first};
}

// gemm takes at least so many rows of x (below, unpacking weights anew for each four rows costs less than laying
// out panels), and at most so many weight rows in one call.
constexpr int32_t least_gemm_rows = 9;
constexpr int32_t most_chunk_rows = 32;

/// The kernels of one instruction set.
struct MatmulKernels {
  int32_t tile_rows;     // rows of x that the inner loop of gemm takes at once
  size_t scratch_bytes;  // of gemm
  /// Bytes of one quantised row, and of one quantised tile, of n_in values.
  size_t (*row_bytes)(int32_t n_in);
  size_t (*tile_bytes)(int32_t n_in);
  /// x: (n_in). out: 64-byte aligned
  void (*quantise_row)(const float* x, int32_t n_in, std::byte* out);
  /// x: (n_rows, n_in), n_rows at most tile_rows. out: 64-byte aligned
  void (*quantise_tile)(const float* x, int64_t x_stride, int32_t n_rows, int32_t n_in, std::byte* out);
  /// Unpacks each weight row on its way through the registers: for one row of x, and for a few.
  void (*gemv)(const MatmulJob& job);
  /// Unpacks panels of weight rows into the scratch and multiplies them with tile after tile of x.
  void (*gemm)(const MatmulJob& job, std::byte* scratch);
};

/// nullptr where the program was built for another kind of processor.
const MatmulKernels* matmul_kernels_portable();
const MatmulKernels* matmul_kernels_avx2();
const MatmulKernels* matmul_kernels_avx512();
const MatmulKernels* matmul_kernels_avx512vnni();

}  // namespace headroom
