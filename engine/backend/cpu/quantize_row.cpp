// A row of keys or values ─► blocks of 32 int8 with a scale in f16, as the pages of an 8-bit cache hold them.
#include "engine/backend/cpu/simd_targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/quantize_row.cpp"
#include "hwy/foreach_target.h"
//
#include "engine/backend/cpu/operations.h"
#include "engine/backend/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace headroom {
namespace HWY_NAMESPACE {

/// load(d, i): the values from the i-th on.
template <class Load>
HWY_INLINE void QuantizeBlocks(int32_t n, CacheRow to, Load load) {
  const BlockTag d;
  const hn::Rebind<int8_t, BlockTag> d8;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  for (int32_t first = 0; first < n; first += q8_block_values) {
    auto largest = hn::Zero(d);
    for (int32_t i = first; i < first + q8_block_values; i += lanes) largest = hn::Max(largest, hn::Abs(load(d, i)));
    // Divided by the scale as it is kept, so that its own rounding does not add to the values'.
    const float scale = hn::GetLane(hn::MaxOfLanes(d, largest)) / 127;
    const uint16_t half = float_to_half(HWY_MIN(scale, largest_half));
    to.scale(first / q8_block_values) = half;
    const auto divisor = hn::Set(d, half_to_float(half));
    const auto is_zero = hn::Eq(divisor, hn::Zero(d));
    const auto limit = hn::Set(d, 127.0f);
    for (int32_t i = first; i < first + q8_block_values; i += lanes) {
      const auto exact = hn::IfThenZeroElse(is_zero, hn::Div(load(d, i), divisor));
      const auto value = hn::NearestInt(hn::Max(hn::Min(exact, limit), hn::Neg(limit)));
      hn::StoreU(hn::DemoteTo(d8, value), d8, to.bytes() + i);
    }
  }
}

void QuantizeFloats(const float* from, int32_t n, CacheRow to) {
  QuantizeBlocks(n, to, [from](auto d, int32_t i) HWY_ATTR { return hn::LoadU(d, from + i); });
}

void QuantizeHalves(const uint16_t* from, int32_t n, CacheRow to) {
  QuantizeBlocks(n, to, [from](auto d, int32_t i) HWY_ATTR { return LoadHalves(d, from + i); });
}

}  // namespace HWY_NAMESPACE
}  // namespace headroom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace headroom {
HWY_EXPORT(QuantizeFloats);
HWY_EXPORT(QuantizeHalves);

void quantize_row(const float* from, int32_t n, CacheRow to) {
  HWY_DYNAMIC_DISPATCH(QuantizeFloats)(from, n, to);
}

void quantize_row(const uint16_t* from, int32_t n, CacheRow to) {
  HWY_DYNAMIC_DISPATCH(QuantizeHalves)(from, n, to);
}

}  // namespace headroom
#endif  // HWY_ONCE
