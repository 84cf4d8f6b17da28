// x += y, row by row: the residual stream takes in what a block computed.
#include "engine/backend/cpu/simd_targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/add.cpp"
#include "hwy/foreach_target.h"
//
#include "engine/backend/cpu/operations.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace headroom {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void AddRow(float* x, const float* y, int32_t n) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  int32_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::Add(hn::LoadU(d, x + i), hn::LoadU(d, y + i)), d, x + i);
  for (; i < n; ++i) x[i] += y[i];
}

}  // namespace HWY_NAMESPACE
}  // namespace headroom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace headroom {
HWY_EXPORT(AddRow);

void add(ThreadPool& pool, const Matrix& x, const Matrix& y) {
  assert(x.n_rows == y.n_rows && x.n_cols == y.n_cols);
  pool.parallel_for(x.n_rows, row_chunk(x.n_cols), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) HWY_DYNAMIC_DISPATCH(AddRow)(host_row(x, r), host_row(y, r), x.n_cols);
  });
}

}  // namespace headroom
#endif  // HWY_ONCE
