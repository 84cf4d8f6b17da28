// K and V rows of a block ─► the layer's scratch in f16, where prefill attention and compaction read them.
#include "engine/backend/cpu/simd_targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/store_kv.cpp"
#include "hwy/foreach_target.h"
//
#include "engine/backend/cpu/operations.h"
#include "engine/backend/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace headroom {
namespace HWY_NAMESPACE {

void StoreHalves(const float* from, int32_t n, uint16_t* to) {
  FloatsToHalves(from, n, to);
}

}  // namespace HWY_NAMESPACE
}  // namespace headroom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace headroom {
HWY_EXPORT(StoreHalves);

void store_kv(ThreadPool& pool, const Matrix& k, const Matrix& v, const KvScratch& kv, int32_t first_row) {
  assert(k.n_cols == kv.row_values && v.n_cols == kv.row_values && k.n_rows == v.n_rows);
  assert(first_row >= 0 && first_row + k.n_rows <= kv.capacity_rows);
  pool.parallel_for(k.n_rows, row_chunk(2 * k.n_cols), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t to = (first_row + r) * kv.row_values;
      HWY_DYNAMIC_DISPATCH(StoreHalves)(host_row(k, r), kv.row_values, host_scratch_k(kv) + to);
      HWY_DYNAMIC_DISPATCH(StoreHalves)(host_row(v, r), kv.row_values, host_scratch_v(kv) + to);
    }
  });
}

}  // namespace headroom
#endif  // HWY_ONCE
