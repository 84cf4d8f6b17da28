// Rows ─► rows of root mean square 1 times a gain: before each attention, each feed-forward and the output.
#include "engine/backend/cpu/simd_targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/rms_norm.cpp"
#include "hwy/foreach_target.h"
//
#include "engine/backend/cpu/operations.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace headroom {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void RmsNormRow(const float* x, const float* gain, float eps, int32_t n, float* out) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  auto sum0 = hn::Zero(d), sum1 = hn::Zero(d);
  int32_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto a = hn::LoadU(d, x + i), b = hn::LoadU(d, x + i + lanes);
    sum0 = hn::MulAdd(a, a, sum0);
    sum1 = hn::MulAdd(b, b, sum1);
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
  for (; i < n; ++i) sum += x[i] * x[i];

  const float factor = 1 / __builtin_sqrtf(sum / static_cast<float>(n) + eps);
  const auto factors = hn::Set(d, factor);
  for (i = 0; i + lanes <= n; i += lanes)
    hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(d, x + i), factors), hn::LoadU(d, gain + i)), d, out + i);
  for (; i < n; ++i) out[i] = x[i] * factor * gain[i];
}

}  // namespace HWY_NAMESPACE
}  // namespace headroom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace headroom {
HWY_EXPORT(RmsNormRow);

void rms_norm(ThreadPool& pool, const Matrix& x, const float* gain, float eps, const Matrix& out) {
  assert(x.n_rows == out.n_rows && x.n_cols == out.n_cols);
  pool.parallel_for(x.n_rows, row_chunk(x.n_cols), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r)
      HWY_DYNAMIC_DISPATCH(RmsNormRow)(host_row(x, r), gain, eps, x.n_cols, host_row(out, r));
  });
}

}  // namespace headroom
#endif  // HWY_ONCE
