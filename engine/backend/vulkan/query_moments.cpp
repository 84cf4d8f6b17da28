// Moments of the queries of some rows: subtracts the shift and transposes the rows, then multiplies them with
// themselves.
#include "engine/backend/vulkan/backend_state.h"

namespace headroom::vulkan {

void VulkanBackend::begin_query_moments(Matrix shift, int32_t head_dim, QueryMoments moments) {
  const auto n_heads = static_cast<uint64_t>(shift.n_cols / head_dim);
  const auto head_bytes = static_cast<uint64_t>(QueryMoments::values(head_dim)) * sizeof(float),
             row_bytes = static_cast<uint64_t>(head_dim) * sizeof(float);
  begin_stage(Stage::add_query_moments, static_cast<double>(n_heads * head_bytes));
  const Buffer &from = buffer_of(*shift.buffer), &to = buffer_of(*moments.buffer);
  queue_.fill({to, 0, n_heads * head_bytes}, 0);
  for (uint64_t h = 0; h < n_heads; ++h)
    queue_.copy({from, static_cast<uint64_t>(shift.offset) * sizeof(float) + h * row_bytes, row_bytes},
                {to, h * head_bytes, row_bytes});
}

void VulkanBackend::add_query_moments(Matrix q, int32_t head_dim, QueryMoments moments) {
  const int32_t n_heads = q.n_cols / head_dim;
  const auto moment_values = static_cast<uint>(QueryMoments::values(head_dim));
  begin_stage(Stage::add_query_moments, matrix_bytes(q) + 8.0 * moment_values * n_heads);
  const uint32_t row_texels = groups_for(q.n_rows, 4), value_rows = 4 * groups_for(head_dim, 4);
  const size_t bytes = size_t{16} * row_texels * value_rows * static_cast<size_t>(n_heads);
  const Buffer& centred = scratch("centred queries", bytes);
  const Buffer& all = buffer_of(*moments.buffer);
  const BufferUse moments_use(all, 0, static_cast<uint64_t>(n_heads) * moment_values * sizeof(float));
  pack_heads({.n_rows = static_cast<uint>(q.n_rows),
              .head_dim = static_cast<uint>(head_dim),
              .x_offset = static_cast<uint>(q.offset),
              .x_stride = static_cast<uint>(q.stride),
              .x_head = static_cast<uint>(head_dim),
              .is_transposed = 1,
              .shift_stride = moment_values,
              .factor = 1},
             n_heads, use_of(q), moments_use, centred);
  const BufferUse centred_texels = as_texels(BufferUse(centred, 0, bytes), VK_FORMAT_R32G32B32A32_SFLOAT);
  queue_.dispatch(programs_.get("moments_sum"), {groups_for(head_dim, 32), static_cast<uint32_t>(n_heads), 1},
                  words(MomentsSumConstants{static_cast<uint>(q.n_rows), static_cast<uint>(head_dim)}),
                  {centred_texels, moments_use}, cost_ms(2.0 * q.n_rows * q.n_cols));
  batch_product(Product::plain,
                {.n_m = static_cast<uint>(head_dim),
                 .n_n = static_cast<uint>(head_dim),
                 .n_k = row_texels,
                 .x_offset = 0,
                 .x_batch = value_rows * row_texels,
                 .x_stride = row_texels,
                 .x_group = 1,
                 .w_offset = 0,
                 .w_batch = value_rows * row_texels,
                 .w_stride = row_texels,
                 .w_group = 1,
                 .y_offset = 2 * static_cast<uint>(head_dim),
                 .y_batch = moment_values,
                 .y_stride = static_cast<uint>(head_dim),
                 .flags = product_accumulates,
                 .length_at = 0,
                 .length_group = 1,
                 .length_first = 0,
                 .diagonal = 0,
                 .position = 0,
                 .window = 0,
                 .positions_stride = 0},
                n_heads, BufferUse(centred, 0, bytes), BufferUse(centred, 0, bytes), centred, moments_use);
}

}  // namespace headroom::vulkan
