// Token ids ─► rows of the embedding table as f32, scaled: the first stage of every pass.
#include "engine/backend/cpu/dequantize.h"
#include "engine/backend/cpu/operations.h"

namespace headroom {

void embed(ThreadPool& pool, const TensorView& table, std::span<const TokenId> ids, float scale, const Matrix& out) {
  assert(out.n_cols == table.n_cols && static_cast<size_t>(out.n_rows) == ids.size());
  const size_t row_bytes = table.row_bytes();
  pool.parallel_for(out.n_rows, row_chunk(out.n_cols), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const TokenId id = ids[static_cast<size_t>(r)];
      assert(id >= 0 && id < table.n_rows);
      float* row = host_row(out, r);
      dequantize_row(table.type, table.data.data() + static_cast<size_t>(id) * row_bytes, table.n_cols, row);
      if (scale == 1) continue;
      for (int32_t i = 0; i < out.n_cols; ++i) row[i] *= scale;
    }
  });
}

}  // namespace headroom
