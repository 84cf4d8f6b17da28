// Queries of a block of rows ─► first and second moments of every query head, from which the profile predicts the
// queries to come. One task is one query head; a product of the block with itself does nearly all of the work.
#include "engine/backend/cpu/simd_targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/add_query_moments.cpp"
#include "hwy/foreach_target.h"
//
#include "engine/backend/cpu/operations.h"
#include "engine/backend/cpu/small_product-inl.h"

#ifndef HEADROOM_QUERY_MOMENTS_TYPES
#define HEADROOM_QUERY_MOMENTS_TYPES
namespace headroom {

/// One query head's rows of a block.
struct MomentsTask {
  const float* q;  // (n_rows, head_dim)
  int64_t q_stride;
  int32_t n_rows;
  int32_t head_dim;
  const float* shift;  // (head_dim)
  float* sum;          // (head_dim)
  float* products;     // (head_dim, head_dim)
  float* centred;      // scratch: (n_rows, padded_width(head_dim)), q - shift, zeros behind head_dim
  float* added;        // scratch: (head_dim, padded_width(head_dim))
};

}  // namespace headroom
#endif  // HEADROOM_QUERY_MOMENTS_TYPES

HWY_BEFORE_NAMESPACE();
namespace headroom {
namespace HWY_NAMESPACE {

void AddMoments(const MomentsTask& task) {
  const int32_t width = padded_width(task.head_dim);
  for (int32_t r = 0; r < task.n_rows; ++r) {
    const float* HWY_RESTRICT q = task.q + r * task.q_stride;
    float* HWY_RESTRICT centred = task.centred + int64_t{r} * width;
    for (int32_t i = 0; i < task.head_dim; ++i) centred[i] = q[i] - task.shift[i];
    for (int32_t i = task.head_dim; i < width; ++i) centred[i] = 0;
    for (int32_t i = 0; i < task.head_dim; ++i) task.sum[i] += centred[i];
  }
  // products += centred^T centred
  SmallProduct({.a = task.centred,
                .a_row = 1,
                .a_step = width,
                .n_rows = task.head_dim,
                .x = task.centred,
                .n_steps = task.n_rows,
                .width = width},
               task.added);
  for (int32_t i = 0; i < task.head_dim; ++i)
    for (int32_t j = 0; j < task.head_dim; ++j)
      task.products[int64_t{i} * task.head_dim + j] += task.added[int64_t{i} * width + j];
}

}  // namespace HWY_NAMESPACE
}  // namespace headroom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace headroom {
HWY_EXPORT(AddMoments);

void add_query_moments(ThreadPool& pool, std::span<Scratch> scratch, const Matrix& q, int32_t head_dim,
                       const QueryMoments& moments) {
  const int32_t n_heads = q.n_cols / head_dim;
  const auto width = static_cast<size_t>(padded_width(head_dim));
  const size_t centred_floats = static_cast<size_t>(q.n_rows) * width;
  for (Scratch& thread_scratch : scratch)
    thread_scratch.reserve(centred_floats + static_cast<size_t>(head_dim) * width);
  float* all = reinterpret_cast<float*>(host_bytes(*moments.buffer));
  pool.parallel_for(n_heads, 1, [&](int64_t begin, int64_t end, int thread) {
    float* free = scratch[static_cast<size_t>(thread)].reserve(0);
    for (int64_t h = begin; h < end; ++h) {
      float* of_head = all + h * QueryMoments::values(head_dim);
      HWY_DYNAMIC_DISPATCH(AddMoments)
      ({.q = host_row(q, 0) + h * head_dim,
        .q_stride = q.stride,
        .n_rows = q.n_rows,
        .head_dim = head_dim,
        .shift = of_head,
        .sum = of_head + head_dim,
        .products = of_head + 2 * head_dim,
        .centred = free,
        .added = free + centred_floats});
    }
  });
}

}  // namespace headroom
#endif  // HWY_ONCE
