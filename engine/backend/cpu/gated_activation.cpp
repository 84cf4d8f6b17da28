// gate = act(gate) * up: the feed-forward's activation, in place.
#include "engine/backend/cpu/simd_targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/gated_activation.cpp"
#include "hwy/foreach_target.h"
//
#include "engine/backend/cpu/operations.h"
#include "engine/backend/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace headroom {
namespace HWY_NAMESPACE {

/// The tanh form of GELU is x * logistic(2u), since (1 + tanh u) / 2 = logistic(2u).
template <class D>
HWY_INLINE hn::Vec<D> LogisticArgument(D d, Activation activation, hn::Vec<D> x) {
  if (activation == Activation::silu) return x;
  constexpr float two_sqrt_2_over_pi = 1.59576912160573071f;
  const auto cubic =
      hn::MulAdd(hn::Mul(x, x), hn::Set(d, 0.044715f * two_sqrt_2_over_pi), hn::Set(d, two_sqrt_2_over_pi));
  return hn::Mul(x, cubic);
}

void GateRow(Activation activation, float* gate, const float* up, int32_t n) {
  const auto compute = [&](auto d, int32_t i) HWY_ATTR {
    const auto x = hn::LoadU(d, gate + i);
    const auto active = hn::Mul(x, Logistic(d, LogisticArgument(d, activation, x)));
    hn::StoreU(hn::Mul(active, hn::LoadU(d, up + i)), d, gate + i);
  };
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  int32_t i = 0;
  for (; i + lanes <= n; i += lanes) compute(d, i);
  for (; i < n; ++i) compute(hn::CappedTag<float, 1>(), i);
}

}  // namespace HWY_NAMESPACE
}  // namespace headroom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace headroom {
HWY_EXPORT(GateRow);

void gated_activation(ThreadPool& pool, Activation activation, const Matrix& gate, const Matrix& up) {
  assert(gate.n_rows == up.n_rows && gate.n_cols == up.n_cols);
  pool.parallel_for(gate.n_rows, row_chunk(gate.n_cols), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r)
      HWY_DYNAMIC_DISPATCH(GateRow)(activation, host_row(gate, r), host_row(up, r), gate.n_cols);
  });
}

}  // namespace headroom
#endif  // HWY_ONCE
