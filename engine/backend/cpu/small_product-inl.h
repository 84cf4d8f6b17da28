// Products of matrices whose rows are a head wide, f32: enough for the moments of queries and for what is expected from
// them. Compiled once an instruction set.
#if defined(HEADROOM_SMALL_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HEADROOM_SMALL_PRODUCT_INL_H_
#undef HEADROOM_SMALL_PRODUCT_INL_H_
#else
#define HEADROOM_SMALL_PRODUCT_INL_H_
#endif

#include "engine/backend/cpu/vector_math-inl.h"

#ifndef HEADROOM_SMALL_PRODUCT_TYPES
#define HEADROOM_SMALL_PRODUCT_TYPES
namespace headroom {

/// Columns of a padded row: whole vectors of every instruction set.
constexpr int32_t padded_width(int32_t head_dim) {
  return (head_dim + 15) / 16 * 16;
}

/// y[r] = sum over s of a[r * a_row + s * a_step] * x[s]
struct SmallProductArgs {
  const float* a;
  int64_t a_row;
  int64_t a_step;
  int32_t n_rows;  // of y
  const float* x;  // (n_steps, width)
  int32_t n_steps;
  int32_t width;  // of x and y, a multiple of 16
};

}  // namespace headroom
#endif  // HEADROOM_SMALL_PRODUCT_TYPES

HWY_BEFORE_NAMESPACE();
namespace headroom {
namespace HWY_NAMESPACE {

// Sums in registers: 4 rows of 4 vectors, and 4 vectors of x, of 32 registers; 4 of 2 of 16.
constexpr int product_rows = 4;
constexpr int product_vectors = HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SCALAR ? 2 : 4;

/// n_rows rows of y, n_vectors vectors wide; finish(row, vector, sum) takes each.
template <int n_rows, int n_vectors, class Finish>
HWY_INLINE void ProductBlock(const float* HWY_RESTRICT a, int64_t a_row, int64_t a_step, const float* HWY_RESTRICT x,
                             int32_t width, int32_t n_steps, Finish finish) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  V sums[n_rows][n_vectors];
  for (int r = 0; r < n_rows; ++r)
    for (int v = 0; v < n_vectors; ++v) sums[r][v] = hn::Zero(d);
  for (int32_t s = 0; s < n_steps; ++s) {
    V columns[n_vectors];
    for (int v = 0; v < n_vectors; ++v) columns[v] = hn::LoadU(d, x + v * lanes);
    for (int r = 0; r < n_rows; ++r) {
      const V factor = hn::Set(d, a[r * a_row]);
      for (int v = 0; v < n_vectors; ++v) sums[r][v] = hn::MulAdd(factor, columns[v], sums[r][v]);
    }
    a += a_step;
    x += width;
  }
  for (int r = 0; r < n_rows; ++r)
    for (int v = 0; v < n_vectors; ++v) finish(r, v, sums[r][v]);
}

/// y: (n_rows, width)
HWY_INLINE void SmallProduct(const SmallProductArgs& args, float* HWY_RESTRICT y) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  const auto block = [&](auto n_rows, auto n_vectors, int32_t row, int32_t column) HWY_ATTR {
    float* to = y + int64_t{row} * args.width + column;
    ProductBlock<n_rows(), n_vectors()>(args.a + row * args.a_row, args.a_row, args.a_step, args.x + column, args.width,
                                        args.n_steps, [&](int r, int v, hn::Vec<decltype(d)> sum) HWY_ATTR {
                                          hn::StoreU(sum, d, to + int64_t{r} * args.width + v * lanes);
                                        });
  };
  const std::integral_constant<int, 1> one;
  const std::integral_constant<int, product_rows> many_rows;
  const std::integral_constant<int, product_vectors> many_vectors;
  for (int32_t row = 0; row < args.n_rows;) {
    const bool whole = row + product_rows <= args.n_rows;
    for (int32_t column = 0; column < args.width;) {
      const bool wide = column + product_vectors * lanes <= args.width;
      if (whole && wide)
        block(many_rows, many_vectors, row, column);
      else if (whole)
        block(many_rows, one, row, column);
      else if (wide)
        block(one, many_vectors, row, column);
      else
        block(one, one, row, column);
      column += wide ? product_vectors * lanes : lanes;
    }
    row += whole ? product_rows : 1;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace headroom
HWY_AFTER_NAMESPACE();

#endif  // HEADROOM_SMALL_PRODUCT_INL_H_
