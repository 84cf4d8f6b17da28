// The kernels of the matrix product for float weights (F32, F16, BF16): f32 throughout. The same two shapes as for
// quantised weights.
// Included into one .cpp only, after one of the matmul_simd files; everything has internal linkage.
#pragma once

#include "engine/backend/cpu/matmul_kernels-inl.h"

namespace headroom {
namespace {

constexpr int float_panel_values = 256;
constexpr size_t float_scratch_bytes = sizeof(float) * float_panel_values * most_chunk_rows;

template <typename F, int n_rows>
void multiply_gemv_floats(const MatmulJob& job, int32_t first_row) {
  const float* x = job.x + first_row * job.x_stride;
  const int32_t n_whole = job.n_in / lanes * lanes;
  for (int32_t row = 0; row < job.n_weight_rows; ++row) {
    const uint8_t* w = job.weight + row * job.weight_row_bytes;
    // Two sums a row of x, so that one addition need not wait for the other.
    Simd::Floats sums[2][n_rows];
    for (int r = 0; r < n_rows; ++r) sums[0][r] = sums[1][r] = Simd::zero();
    int32_t k = 0;
    for (; k + 2 * lanes <= n_whole; k += 2 * lanes) {
      for (int i = 0; i < 2; ++i) {
        const Simd::Floats weights = F::load(w + (k + i * lanes) * F::value_bytes);
        HEADROOM_UNROLL
        for (int r = 0; r < n_rows; ++r) {
          sums[i][r] = Simd::fma(weights, Simd::load_f32(x + r * job.x_stride + k + i * lanes), sums[i][r]);
        }
      }
    }
    if (k < n_whole) {
      const Simd::Floats weights = F::load(w + k * F::value_bytes);
      for (int r = 0; r < n_rows; ++r) {
        sums[0][r] = Simd::fma(weights, Simd::load_f32(x + r * job.x_stride + k), sums[0][r]);
      }
    }
    for (int r = 0; r < n_rows; ++r) {
      float sum = Simd::sum(Simd::add(sums[0][r], sums[1][r]));
      for (k = n_whole; k < job.n_in; ++k) sum += F::load_one(w + k * F::value_bytes) * x[r * job.x_stride + k];
      write_sum(job, first_row + r, row, sum);
    }
  }
}

template <typename F>
void gemv_floats(const MatmulJob& job) {
  for (int32_t row = 0; row < job.n_rows; row += 4) {
    switch (job.n_rows - row) {
      case 1:
        multiply_gemv_floats<F, 1>(job, row);
        break;
      case 2:
        multiply_gemv_floats<F, 2>(job, row);
        break;
      case 3:
        multiply_gemv_floats<F, 3>(job, row);
        break;
      default:
        multiply_gemv_floats<F, 4>(job, row);
        break;
    }
  }
}

/// panel: (n_values, panel_rows). Rows behind n_rows repeat the last one; nobody reads their sums.
template <typename F>
void unpack_float_panel(const uint8_t* weight, int64_t row_bytes, int32_t n_rows, int32_t n_values, float* panel) {
  for (int vec = 0; vec < Simd::panel_vecs; ++vec) {
    const uint8_t* rows[lanes];
    for (int lane = 0; lane < lanes; ++lane) {
      const int32_t panel_row = vec * lanes + lane;
      rows[lane] = weight + (panel_row < n_rows ? panel_row : n_rows - 1) * row_bytes;
    }
    float* out = panel + vec * lanes;
    int32_t k = 0;
    for (; k + lanes <= n_values; k += lanes) {
      Simd::Floats square[lanes];
      for (int lane = 0; lane < lanes; ++lane) square[lane] = F::load(rows[lane] + k * F::value_bytes);
      Simd::transpose(square);
      for (int i = 0; i < lanes; ++i) Simd::store_f32(out + (k + i) * panel_rows, square[i]);
    }
    for (; k < n_values; ++k) {
      for (int lane = 0; lane < lanes; ++lane) {
        out[k * panel_rows + lane] = F::load_one(rows[lane] + k * F::value_bytes);
      }
    }
  }
}

template <int n_rows>
void multiply_float_tile(const float* panel, const float* x, int64_t x_stride, int32_t n_values,
                         const PanelOutput& out) {
  Simd::Floats sums[Simd::panel_vecs][n_rows];
  HEADROOM_UNROLL
  for (int r = 0; r < n_rows; ++r) {
    for (int v = 0; v < Simd::panel_vecs; ++v) sums[v][r] = Simd::zero();
  }
  for (int32_t k = 0; k < n_values; ++k) {
    Simd::Floats weights[Simd::panel_vecs];
    for (int v = 0; v < Simd::panel_vecs; ++v) weights[v] = Simd::load_f32(panel + k * panel_rows + v * lanes);
    HEADROOM_UNROLL
    for (int r = 0; r < n_rows; ++r) {
      const Simd::Floats value = Simd::set1(x[r * x_stride + k]);
      for (int v = 0; v < Simd::panel_vecs; ++v) sums[v][r] = Simd::fma(weights[v], value, sums[v][r]);
    }
  }
  write_sums<n_rows>(out, sums);
}

void multiply_float_tile_of(int32_t n_rows, const float* panel, const float* x, int64_t x_stride, int32_t n_values,
                            const PanelOutput& out) {
  constexpr int most = Simd::tile_rows;
  if (n_rows == most) return multiply_float_tile<most>(panel, x, x_stride, n_values, out);
  if (n_rows == most - 1) return multiply_float_tile<most - 1>(panel, x, x_stride, n_values, out);
  if constexpr (most == 6) multiply_float_tile<most - 2>(panel, x, x_stride, n_values, out);
}

template <typename F>
void gemm_floats(const MatmulJob& job, std::byte* scratch) {
  float* panels = reinterpret_cast<float*>(scratch);
  for (int32_t first = 0; first < job.n_in; first += float_panel_values) {
    const int32_t n_values = job.n_in - first < float_panel_values ? job.n_in - first : float_panel_values;
    for (int32_t row = 0; row < job.n_weight_rows; row += panel_rows) {
      const int32_t n_panel_rows = job.n_weight_rows - row < panel_rows ? job.n_weight_rows - row : panel_rows;
      unpack_float_panel<F>(job.weight + row * job.weight_row_bytes + first * F::value_bytes, job.weight_row_bytes,
                            n_panel_rows, n_values, panels + row * n_values);
    }
    for (int32_t tile = job.first_tile; tile < job.end_tile; ++tile) {
      const TileRows rows = tile_rows_of(tile, job.n_tiles, job.n_rows);
      for (int32_t row = 0; row < job.n_weight_rows; row += panel_rows) {
        multiply_float_tile_of(rows.count, panels + row * n_values, job.x + rows.first * job.x_stride + first,
                               job.x_stride, n_values, panel_output(job, row, rows.first, first == 0));
      }
    }
  }
}

}  // namespace
}  // namespace headroom
