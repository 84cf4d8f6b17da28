// The kernels of the matrix product for quantised weights, written once over the vector operations (Simd) and the
// formats: x to 16 bits, the product of a few rows of x, the product of many. matmul.cpp calls them by function
// pointer. Included into one .cpp only, after one of the matmul_simd files; everything has internal linkage.
#pragma once

#include "engine/backend/cpu/matmul_formats-inl.h"
#include "engine/backend/cpu/matmul_kernels.h"

namespace headroom {
namespace {

constexpr int lanes = Simd::lanes;
constexpr int panel_rows = Simd::panel_vecs * lanes;
// Panels that are unpacked together, and values of each row in them: 40 bytes for every 32 values of a row at most, so
// that they and a tile of x stay in a first-level cache.
constexpr int chunk_panels = most_chunk_rows / panel_rows;
constexpr int panel_values = 768;
static_assert(chunk_panels * panel_rows == most_chunk_rows);

// x = d * q, 32 values at a time, with q of 16 bits: 256 * high + low, each a signed byte, so that the 8-bit products
// serve twice. With 8 bits alone the attention that a profile measures is off by up to 0.02; the second pass over
// weights that are in registers already costs far less than it gives.

/// x against a Step: the same order of values.
struct XStep {
  int8_t high[2][4 * lanes], low[2][4 * lanes];
  int32_t neg_sums[2][lanes];  // minus the sum of the four q of each lane
  float d[lanes];
  float s[lanes];  // d times the sums of both halves' lanes
};

/// Up to tile_rows rows of x against 32 values of a panel.
struct XTileGroup {
  int8_t high[8][Simd::tile_rows][4], low[8][Simd::tile_rows][4];
  float d[Simd::tile_rows];
  float s[Simd::tile_rows];              // d times the sum of q
  int32_t neg_sums[2][Simd::tile_rows];  // minus the sums of the first and the last 16 q
};

size_t quantised_row_bytes(int32_t n_in) {
  constexpr int step_values = 32 * Simd::blocks;
  return static_cast<size_t>((n_in + step_values - 1) / step_values) * sizeof(XStep);
}

size_t quantised_tile_bytes(int32_t n_in) {
  return static_cast<size_t>(n_in / 32) * sizeof(XTileGroup);
}

void quantise_row(const float* x, int32_t n_in, std::byte* out) {
  XStep* steps = reinterpret_cast<XStep*>(out);
  for (int32_t block = 0; block < n_in / 32; ++block) {
    XStep& step = steps[block / Simd::blocks];
    const int b = block % Simd::blocks;
    if (b == 0) std::memset(&step, 0, sizeof step);  // blocks behind the row's end are zero
    int8_t high[32], low[32];
    int32_t neg_sums[8];
    const float d = Simd::quantise32(x + 32 * block, high, low, neg_sums);
    for (int h = 0; h < 2; ++h) {
      std::memcpy(step.high[h] + 16 * b, high + 16 * h, 16);
      std::memcpy(step.low[h] + 16 * b, low + 16 * h, 16);
      std::memcpy(step.neg_sums[h] + 4 * b, neg_sums + 4 * h, 16);
    }
    for (int i = 0; i < 4; ++i) {
      step.d[4 * b + i] = d;
      step.s[4 * b + i] = -d * static_cast<float>(neg_sums[i] + neg_sums[4 + i]);
    }
  }
}

void quantise_tile(const float* x, int64_t x_stride, int32_t n_rows, int32_t n_in, std::byte* out) {
  XTileGroup* groups = reinterpret_cast<XTileGroup*>(out);
  for (int32_t r = 0; r < n_rows; ++r) {
    for (int32_t g = 0; g < n_in / 32; ++g) {
      int8_t high[32], low[32];
      int32_t neg_sums[8];
      const float d = Simd::quantise32(x + r * x_stride + 32 * g, high, low, neg_sums);
      XTileGroup& group = groups[g];
      for (int k = 0; k < 8; ++k) {
        std::memcpy(group.high[k][r], high + 4 * k, 4);
        std::memcpy(group.low[k][r], low + 4 * k, 4);
      }
      for (int h = 0; h < 2; ++h) {
        const int32_t* four = neg_sums + 4 * h;
        group.neg_sums[h][r] = four[0] + four[1] + four[2] + four[3];
      }
      group.d[r] = d;
      group.s[r] = -d * static_cast<float>(group.neg_sums[0][r] + group.neg_sums[1][r]);
    }
  }
}

// A few rows of x: weights go from the file's bytes through registers into the sums.

template <typename F>
constexpr int unit_values = F::block_values == 32 ? 32 * Simd::blocks : F::block_values;
template <typename F>
constexpr int unit_bytes = unit_values<F> / F::block_values* F::block_bytes;
template <typename F>
constexpr int unit_steps = unit_values<F> / (32 * Simd::blocks);

/// The products of four weights and four bytes of x in each lane, added to `start`.
template <typename F>
HEADROOM_INLINE Simd::Ints dot_half(Simd::Ints start, Simd::Bytes w, const int8_t* x) {
  using Ops = typename F::Ops;
  // Only formats of six bits come here: two products of at most 63 * 127 fit into 16 bits.
  if constexpr (Ops::has_dot4) {
    return Ops::dot4(start, w, Simd::load_bytes(x));
  } else {
    return Ops::widen(start, Ops::mul_pairs(w, Simd::load_bytes(x)));
  }
}

/// The same over both halves.
template <typename F>
HEADROOM_INLINE Simd::Ints dot_block(Simd::Ints start, const Step& w, const int8_t (&x)[2][4 * lanes]) {
  using Ops = typename F::Ops;
  const Simd::Bytes x0 = Simd::load_bytes(x[0]), x1 = Simd::load_bytes(x[1]);
  if constexpr (Ops::has_dot4) {
    return Ops::dot4(Ops::dot4(start, w.q[0], x0), w.q[1], x1);
  } else if constexpr (F::bits == 8) {
    return Ops::widen(Ops::widen(start, Ops::mul_pairs_signed(w.q[0], x0)), Ops::mul_pairs_signed(w.q[1], x1));
  } else {
    // Four products of at most 63 * 127 fit into 16 bits.
    return Ops::widen(start, Ops::add_shorts(Ops::mul_pairs(w.q[0], x0), Ops::mul_pairs(w.q[1], x1)));
  }
}

/// What the low products start from: 256 times the high ones, less the format's offset.
template <typename F>
HEADROOM_INLINE Simd::Ints start_low(Simd::Ints high, Simd::Ints neg_sums) {
  const Simd::Ints start = Simd::shift_left<8>(high);
  if constexpr (F::offset_bits > 0) return Simd::add(start, Simd::shift_left<F::offset_bits>(neg_sums));
  return start;
}

template <typename F>
HEADROOM_INLINE Simd::Floats add_step(const Step& w, const XStep& x, Simd::Floats sum) {
  const Simd::Floats d = Simd::load_f32(x.d);
  if constexpr (F::n_scales == 2) {
    for (int h = 0; h < 2; ++h) {
      const Simd::Ints high = dot_half<F>(Simd::zero_ints(), w.q[h], x.high[h]);
      const Simd::Ints dots = dot_half<F>(start_low<F>(high, Simd::load_ints(x.neg_sums[h])), w.q[h], x.low[h]);
      sum = Simd::fma(Simd::to_floats(dots), Simd::mul(w.d[h], d), sum);
    }
  } else {
    const Simd::Ints neg_sums = Simd::add(Simd::load_ints(x.neg_sums[0]), Simd::load_ints(x.neg_sums[1]));
    const Simd::Ints high = dot_block<F>(Simd::zero_ints(), w, x.high);
    const Simd::Ints dots = dot_block<F>(start_low<F>(high, neg_sums), w, x.low);
    sum = Simd::fma(Simd::to_floats(dots), Simd::mul(w.d[0], d), sum);
  }
  if constexpr (F::has_mins) sum = Simd::fma(w.m, Simd::load_f32(x.s), sum);
  return sum;
}

HEADROOM_INLINE void write_sum(const MatmulJob& job, int32_t r, int32_t weight_row, float sum) {
  float& y = job.y[r * job.y_stride + weight_row];
  if (job.bias != nullptr) sum += job.bias[weight_row];
  y = job.accumulate ? sum + y : sum;
}

template <typename F, int n_rows>
void multiply_gemv(const MatmulJob& job, int32_t first_row) {
  // Far enough ahead for memory, near enough that the first lines of a chunk are few.
  constexpr int prefetch_bytes = 1024;
  const std::byte* x = job.x_quantised + first_row * job.x_quantised_stride_bytes;
  const XStep* x_rows[n_rows];
  for (int r = 0; r < n_rows; ++r) x_rows[r] = reinterpret_cast<const XStep*>(x + r * job.x_quantised_stride_bytes);
  const int32_t n_units = job.n_in / unit_values<F>;
  const int32_t n_rest_blocks = job.n_in % unit_values<F> / 32;
  for (int32_t row = 0; row < job.n_weight_rows; ++row) {
    const uint8_t* w = job.weight + row * job.weight_row_bytes;
    Simd::Floats sums[n_rows];
    for (int r = 0; r < n_rows; ++r) sums[r] = Simd::zero();
    for (int32_t unit = 0; unit < n_units; ++unit, w += unit_bytes<F>) {
      for (int line = 0; line < unit_bytes<F>; line += 64) Simd::prefetch(w + prefetch_bytes + line);
      F::unpack(w, EveryBlock{}, [&](int i, const Step& step) HEADROOM_LAMBDA {
        HEADROOM_UNROLL
        for (int r = 0; r < n_rows; ++r) sums[r] = add_step<F>(step, x_rows[r][unit * unit_steps<F> + i], sums[r]);
      });
    }
    if (F::block_values == 32 && n_rest_blocks > 0) {
      F::unpack(w, UpToBlock{n_rest_blocks - 1}, [&](int, const Step& step) HEADROOM_LAMBDA {
        HEADROOM_UNROLL
        for (int r = 0; r < n_rows; ++r) sums[r] = add_step<F>(step, x_rows[r][n_units * unit_steps<F>], sums[r]);
      });
    }
    for (int r = 0; r < n_rows; ++r) write_sum(job, first_row + r, row, Simd::sum(sums[r]));
  }
}

template <typename F>
void gemv_quantised(const MatmulJob& job) {
  for (int32_t row = 0; row < job.n_rows; row += 4) {
    switch (job.n_rows - row) {
      case 1:
        multiply_gemv<F, 1>(job, row);
        break;
      case 2:
        multiply_gemv<F, 2>(job, row);
        break;
      case 3:
        multiply_gemv<F, 3>(job, row);
        break;
      default:
        multiply_gemv<F, 4>(job, row);
        break;
    }
  }
}

// Many rows of x: panel_rows weight rows are unpacked and laid side by side, four values of each row in a lane, so that
// four values of x, broadcast, meet all of them at once and no sum runs across lanes.

/// 32 values of panel_rows weight rows.
template <typename F>
struct PanelGroup {
  uint8_t q[8][panel_rows][4];
  float d[F::n_scales][panel_rows];
  float m[F::has_mins ? panel_rows : 1];
};
constexpr size_t quantised_scratch_bytes = size_t{chunk_panels} * panel_values / 32 * (40 * panel_rows + 64);

/// Rows behind n_rows repeat the last one; nobody reads their sums.
template <typename F, typename Pick>
void unpack_unit(const uint8_t* weight, int64_t row_bytes, int32_t n_rows, int vec, Pick pick, int32_t n_groups,
                 PanelGroup<F>* panel) {
  Simd::Bytes rows[unit_steps<F>][2][lanes];
  for (int lane = 0; lane < lanes; ++lane) {
    const int32_t panel_row = vec * lanes + lane;
    const uint8_t* w = weight + (panel_row < n_rows ? panel_row : n_rows - 1) * row_bytes;
    F::unpack(w, pick, [&](int i, const Step& step) HEADROOM_LAMBDA {
      for (int h = 0; h < 2; ++h) rows[i][h][lane] = step.q[h];
      float d[2][lanes], m[lanes];
      for (int s = 0; s < F::n_scales; ++s) Simd::store_f32(d[s], step.d[s]);
      if constexpr (F::has_mins) Simd::store_f32(m, step.m);
      for (int b = 0; b < Simd::blocks && i * Simd::blocks + b < n_groups; ++b) {
        PanelGroup<F>& group = panel[i * Simd::blocks + b];
        for (int s = 0; s < F::n_scales; ++s) group.d[s][panel_row] = d[s][4 * b];
        if constexpr (F::has_mins) group.m[panel_row] = m[4 * b];
      }
    });
  }
  for (int i = 0; i < unit_steps<F>; ++i) {
    for (int h = 0; h < 2; ++h) {
      Simd::transpose(rows[i][h]);
      for (int j = 0; j < lanes && i * Simd::blocks + j / 4 < n_groups; ++j) {
        Simd::store_bytes(panel[i * Simd::blocks + j / 4].q[4 * h + j % 4][vec * lanes], rows[i][h][j]);
      }
    }
  }
}

template <typename F>
void unpack_panel(const uint8_t* weight, int64_t row_bytes, int32_t n_rows, int32_t n_groups, PanelGroup<F>* panel) {
  constexpr int unit_groups = unit_values<F> / 32;
  for (int32_t g = 0; g < n_groups; g += unit_groups, weight += unit_bytes<F>) {
    for (int vec = 0; vec < Simd::panel_vecs; ++vec) {
      if (n_groups - g >= unit_groups) {
        unpack_unit<F>(weight, row_bytes, n_rows, vec, EveryBlock{}, unit_groups, panel + g);
      } else {
        unpack_unit<F>(weight, row_bytes, n_rows, vec, UpToBlock{n_groups - g - 1}, n_groups - g, panel + g);
      }
    }
  }
}

/// sums of 4 * n_fours values. w: (n_fours, panel_rows, 4); x: (n_fours, tile_rows, 4)
template <typename F, int n_rows, int n_fours>
HEADROOM_INLINE void add_dots(const uint8_t (*w)[panel_rows][4], const int8_t (*x)[Simd::tile_rows][4],
                              Simd::Ints (&sums)[Simd::panel_vecs][n_rows]) {
  using Ops = typename F::Ops;
  if constexpr (Ops::has_dot4) {
    HEADROOM_UNROLL
    for (int k = 0; k < n_fours; ++k) {
      Simd::Bytes weights[Simd::panel_vecs];
      for (int v = 0; v < Simd::panel_vecs; ++v) weights[v] = Simd::load_bytes(w[k][v * lanes]);
      HEADROOM_UNROLL
      for (int r = 0; r < n_rows; ++r) {
        const Simd::Bytes values = Simd::broadcast4(x[k][r]);
        for (int v = 0; v < Simd::panel_vecs; ++v) sums[v][r] = Ops::dot4(sums[v][r], weights[v], values);
      }
    }
  } else {
    // So many products of pairs, at most 2 * 127 * (2^bits - 1) each, fit into 16 bits.
    constexpr int fitting = F::bits == 4 ? 8 : F::bits == 5 ? 4 : F::bits == 6 ? 2 : 1;
    constexpr int run = fitting < n_fours ? fitting : n_fours;
    for (int k0 = 0; k0 < n_fours; k0 += run) {
      typename Ops::Shorts shorts[Simd::panel_vecs][n_rows];
      HEADROOM_UNROLL
      for (int k = 0; k < run; ++k) {
        Simd::Bytes weights[Simd::panel_vecs];
        for (int v = 0; v < Simd::panel_vecs; ++v) weights[v] = Simd::load_bytes(w[k0 + k][v * lanes]);
        HEADROOM_UNROLL
        for (int r = 0; r < n_rows; ++r) {
          const Simd::Bytes values = Simd::broadcast4(x[k0 + k][r]);
          for (int v = 0; v < Simd::panel_vecs; ++v) {
            const typename Ops::Shorts products =
                F::bits == 8 ? Ops::mul_pairs_signed(weights[v], values) : Ops::mul_pairs(weights[v], values);
            shorts[v][r] = k == 0 ? products : Ops::add_shorts(shorts[v][r], products);
          }
        }
      }
      HEADROOM_UNROLL
      for (int r = 0; r < n_rows; ++r) {
        for (int v = 0; v < Simd::panel_vecs; ++v) sums[v][r] = Ops::widen(sums[v][r], shorts[v][r]);
      }
    }
  }
}

/// Where a panel's sums go.
struct PanelOutput {
  float* y;  // of the panel's first weight row and the tile's first row of x
  int64_t stride;
  const float* bias;  // may be null
  int32_t n_weight_rows;
  bool accumulate;
};

template <int n_rows>
HEADROOM_INLINE void write_sums(const PanelOutput& out, Simd::Floats (&sums)[Simd::panel_vecs][n_rows]) {
  for (int v = 0; v < Simd::panel_vecs && v * lanes < out.n_weight_rows; ++v) {
    const int n_valid = out.n_weight_rows - v * lanes;
    const Simd::Floats bias = out.bias != nullptr ? Simd::load_first(out.bias + v * lanes, n_valid) : Simd::zero();
    HEADROOM_UNROLL
    for (int r = 0; r < n_rows; ++r) {
      float* y = out.y + r * out.stride + v * lanes;
      Simd::Floats sum = Simd::add(sums[v][r], bias);
      if (out.accumulate) sum = Simd::add(sum, Simd::load_first(y, n_valid));
      Simd::store_first(y, n_valid, sum);
    }
  }
}

template <typename F, int n_rows>
void multiply_tile(const PanelGroup<F>* panel, const XTileGroup* x, int32_t n_groups, const PanelOutput& out) {
  constexpr int vecs = Simd::panel_vecs;
  Simd::Floats sums[vecs][n_rows];
  HEADROOM_UNROLL
  for (int r = 0; r < n_rows; ++r) {
    for (int v = 0; v < vecs; ++v) sums[v][r] = Simd::zero();
  }
  for (int32_t g = 0; g < n_groups; ++g) {
    HEADROOM_UNROLL
    for (int s = 0; s < F::n_scales; ++s) {
      Simd::Ints dots[vecs][n_rows];
      HEADROOM_UNROLL
      for (int r = 0; r < n_rows; ++r) {
        for (int v = 0; v < vecs; ++v) dots[v][r] = Simd::zero_ints();
      }
      constexpr int n_fours = 8 / F::n_scales;
      add_dots<F, n_rows, n_fours>(panel[g].q + n_fours * s, x[g].high + n_fours * s, dots);
      HEADROOM_UNROLL
      for (int r = 0; r < n_rows; ++r) {
        Simd::Ints neg_sums = Simd::zero_ints();
        if constexpr (F::offset_bits > 0) {
          neg_sums = Simd::broadcast_int(&x[g].neg_sums[s][r]);
          if constexpr (F::n_scales == 1) neg_sums = Simd::add(neg_sums, Simd::broadcast_int(&x[g].neg_sums[1][r]));
        }
        for (int v = 0; v < vecs; ++v) dots[v][r] = start_low<F>(dots[v][r], neg_sums);
      }
      add_dots<F, n_rows, n_fours>(panel[g].q + n_fours * s, x[g].low + n_fours * s, dots);
      HEADROOM_UNROLL
      for (int r = 0; r < n_rows; ++r) {
        const Simd::Floats d = Simd::set1(x[g].d[r]);
        for (int v = 0; v < vecs; ++v) {
          const Simd::Floats scale = Simd::mul(Simd::load_f32(panel[g].d[s] + v * lanes), d);
          sums[v][r] = Simd::fma(Simd::to_floats(dots[v][r]), scale, sums[v][r]);
        }
      }
    }
    if constexpr (F::has_mins) {
      HEADROOM_UNROLL
      for (int r = 0; r < n_rows; ++r) {
        const Simd::Floats s = Simd::set1(x[g].s[r]);
        for (int v = 0; v < vecs; ++v) sums[v][r] = Simd::fma(Simd::load_f32(panel[g].m + v * lanes), s, sums[v][r]);
      }
    }
  }
  write_sums<n_rows>(out, sums);
}

/// multiply_tile for a number of rows that is known at run time only. Equal shares of least_gemm_rows or more rows
/// are never much smaller than a tile.
template <typename F>
void multiply_tile_of(int32_t n_rows, const PanelGroup<F>* panel, const XTileGroup* x, int32_t n_groups,
                      const PanelOutput& out) {
  constexpr int most = Simd::tile_rows;
  if (n_rows == most) return multiply_tile<F, most>(panel, x, n_groups, out);
  if (n_rows == most - 1) return multiply_tile<F, most - 1>(panel, x, n_groups, out);
  if constexpr (most == 6) multiply_tile<F, most - 2>(panel, x, n_groups, out);
}

/// The output of one panel and one tile. part: of the row's values; the first one sets y, the others add to it.
HEADROOM_INLINE PanelOutput panel_output(const MatmulJob& job, int32_t panel_row, int32_t x_row, bool is_first_part) {
  return {job.y + x_row * job.y_stride + panel_row, job.y_stride,
          is_first_part && job.bias != nullptr ? job.bias + panel_row : nullptr, job.n_weight_rows - panel_row,
          job.accumulate || !is_first_part};
}

template <typename F>
void gemm_quantised(const MatmulJob& job, std::byte* scratch) {
  PanelGroup<F>* panels = reinterpret_cast<PanelGroup<F>*>(scratch);
  // Equal parts of a row, each of whole blocks of 256.
  const int32_t n_parts = (job.n_in + panel_values - 1) / panel_values;
  const int32_t part_values = ((job.n_in + n_parts - 1) / n_parts + 255) / 256 * 256;
  for (int32_t first = 0; first < job.n_in; first += part_values) {
    const int32_t n_groups = (job.n_in - first < part_values ? job.n_in - first : part_values) / 32;
    const uint8_t* weight = job.weight + first / F::block_values * F::block_bytes;
    for (int32_t row = 0; row < job.n_weight_rows; row += panel_rows) {
      const int32_t n_panel_rows = job.n_weight_rows - row < panel_rows ? job.n_weight_rows - row : panel_rows;
      unpack_panel<F>(weight + row * job.weight_row_bytes, job.weight_row_bytes, n_panel_rows, n_groups,
                      panels + row / panel_rows * n_groups);
    }
    for (int32_t tile = job.first_tile; tile < job.end_tile; ++tile) {
      const TileRows rows = tile_rows_of(tile, job.n_tiles, job.n_rows);
      const XTileGroup* x =
          reinterpret_cast<const XTileGroup*>(job.x_quantised + tile * job.x_quantised_stride_bytes) + first / 32;
      for (int32_t row = 0; row < job.n_weight_rows; row += panel_rows) {
        multiply_tile_of<F>(rows.count, panels + row / panel_rows * n_groups, x, n_groups,
                            panel_output(job, row, rows.first, first == 0));
      }
    }
  }
}

}  // namespace
}  // namespace headroom
