// Vector functions that several operations share: 2^x, the logistic function, f16 to f32 and back, int8 to f32.
// Compiled once an instruction set; accurate to about 1e-7 relative.
#if defined(HEADROOM_VECTOR_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HEADROOM_VECTOR_MATH_INL_H_
#undef HEADROOM_VECTOR_MATH_INL_H_
#else
#define HEADROOM_VECTOR_MATH_INL_H_
#endif

#include "engine/backend/cpu/half.h"
#include "engine/backend/cpu/operations.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace headroom {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// 2^x for x <= 127; 0 below -126, where f32 would lose digits.
template <class D>
HWY_INLINE hn::Vec<D> Exp2(D d, hn::Vec<D> x) {
  const hn::RebindToSigned<D> di;
  const auto smallest = hn::Set(d, -126.0f);
  const auto in_range = hn::Max(x, smallest);
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits of the sum.
  const auto shift = hn::Set(d, 12582912.0f);
  const auto shifted = hn::Add(in_range, shift);
  const auto fraction = hn::Sub(in_range, hn::Sub(shifted, shift));
  // Least relative error on [-0.5, 0.5]: 7.5e-8 before rounding.
  auto y = hn::MulAdd(hn::Set(d, 1.327647037570107e-3f), fraction, hn::Set(d, 9.675541321555226e-3f));
  y = hn::MulAdd(y, fraction, hn::Set(d, 5.5507132784995694e-2f));
  y = hn::MulAdd(y, fraction, hn::Set(d, 0.24022119724161112f));
  y = hn::MulAdd(y, fraction, hn::Set(d, 0.6931469670616981f));
  y = hn::MulAdd(y, fraction, hn::Set(d, 1.0000000716545856f));
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(di, shifted));
  const auto power = hn::BitCast(d, hn::Add(hn::BitCast(di, y), exponent));
  return hn::IfThenElseZero(hn::Gt(x, smallest), power);
}

/// 1 / (1 + e^-x)
template <class D>
HWY_INLINE hn::Vec<D> Logistic(D d, hn::Vec<D> x) {
  const auto exponent = hn::Min(hn::Mul(x, hn::Set(d, -log2_e)), hn::Set(d, 126.0f));
  const auto one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, Exp2(d, exponent)));
}

/// The sums of four vectors' lanes, to four neighbouring floats.
template <class D, class V = hn::Vec<D>>
HWY_INLINE void StoreFourSums(D d, V a, V b, V c, V e, float* to) {
#if HWY_TARGET == HWY_SCALAR || HWY_HAVE_SCALABLE
  to[0] = hn::GetLane(hn::SumOfLanes(d, a));
  to[1] = hn::GetLane(hn::SumOfLanes(d, b));
  to[2] = hn::GetLane(hn::SumOfLanes(d, c));
  to[3] = hn::GetLane(hn::SumOfLanes(d, e));
#else
  // Transposes blocks of 4 x 4 while adding: one block then holds a part of all four sums.
  const hn::Repartition<uint64_t, D> d64;
  const auto ab = hn::BitCast(d64, hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b)));
  const auto ce = hn::BitCast(d64, hn::Add(hn::InterleaveLower(d, c, e), hn::InterleaveUpper(d, c, e)));
  const auto sums =
      hn::Add(hn::BitCast(d, hn::InterleaveLower(d64, ab, ce)), hn::BitCast(d, hn::InterleaveUpper(d64, ab, ce)));
  if constexpr (hn::MaxLanes(D()) == 4) {
    hn::StoreU(sums, d, to);
  } else {
    const hn::Half<D> d2;
    const auto halves = hn::Add(hn::LowerHalf(d2, sums), hn::UpperHalf(d2, sums));
    if constexpr (hn::MaxLanes(D()) == 8) {
      hn::StoreU(halves, d2, to);
    } else {
      const hn::Half<decltype(d2)> d4;
      hn::StoreU(hn::Add(hn::LowerHalf(d4, halves), hn::UpperHalf(d4, halves)), d4, to);
    }
  }
#endif
}

/// Lanes(d) f16 values as f32.
template <class D>
HWY_INLINE hn::Vec<D> LoadHalves(D d, const uint16_t* from) {
#if HWY_TARGET == HWY_SCALAR
  return hn::Set(d, half_to_float(*from));
#else
  const hn::Rebind<uint16_t, D> du16;
  const hn::Rebind<hwy::float16_t, D> df16;
  return hn::PromoteTo(d, hn::BitCast(df16, hn::LoadU(du16, from)));
#endif
}

/// A row of f16 values as f32.
HWY_INLINE void HalvesToFloats(const uint16_t* HWY_RESTRICT from, int32_t n, float* HWY_RESTRICT to) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  int32_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(LoadHalves(d, from + i), d, to + i);
  const hn::CappedTag<float, 1> one;
  for (; i < n; ++i) hn::StoreU(LoadHalves(one, from + i), one, to + i);
}

/// Lanes(d) int8 values as f32.
template <class D>
HWY_INLINE hn::Vec<D> LoadBytes(D d, const int8_t* from) {
  const hn::Rebind<int8_t, D> d8;
  return hn::ConvertTo(d, hn::PromoteTo(hn::RebindToSigned<D>(), hn::LoadU(d8, from)));
}

/// Vectors of which a block of q8_0 holds a whole number.
using BlockTag = hn::CappedTag<float, 16>;
static_assert(q8_block_values % 16 == 0);

/// A row of q8_0 as f32.
HWY_INLINE void BlocksToFloats(CacheRow from, int32_t n, float* HWY_RESTRICT to) {
  const BlockTag d;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  for (int32_t first = 0; first < n; first += q8_block_values) {
    const auto scale = hn::Set(d, half_to_float(from.scale(first / q8_block_values)));
    for (int32_t i = first; i < first + q8_block_values; i += lanes)
      hn::StoreU(hn::Mul(LoadBytes(d, from.bytes() + i), scale), d, to + i);
  }
}

/// A row of a page, or of halves outside of one, as f32.
HWY_INLINE void RowToFloats(CacheRow from, int32_t n, float* HWY_RESTRICT to) {
  if (from.scales == nullptr)
    HalvesToFloats(from.halves(), n, to);
  else
    BlocksToFloats(from, n, to);
}

/// A row of f32 values rounded to f16.
HWY_INLINE void FloatsToHalves(const float* HWY_RESTRICT from, int32_t n, uint16_t* HWY_RESTRICT to) {
  int32_t i = 0;
#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128  // whose conversions truncate
  const hn::ScalableTag<float> d;
  const hn::Rebind<uint16_t, decltype(d)> du16;
  const hn::Rebind<hwy::float16_t, decltype(d)> df16;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(hn::BitCast(du16, hn::DemoteTo(df16, hn::LoadU(d, from + i))), du16, to + i);
#endif
  for (; i < n; ++i) to[i] = float_to_half(from[i]);
}

}  // namespace HWY_NAMESPACE
}  // namespace headroom
HWY_AFTER_NAMESPACE();

#endif  // HEADROOM_VECTOR_MATH_INL_H_
