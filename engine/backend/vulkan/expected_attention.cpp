// Expected attention of columns: loads K of some columns as f32 rows, multiplies them with the quadratic part of every
// query head, then sums per column.
#include <algorithm>
#include <cassert>

#include "engine/backend/vulkan/backend_state.h"

namespace headroom::vulkan {
namespace {

constexpr double dispatch_ms = 20;
constexpr double max_product_bytes = 16 << 20;

}  // namespace

void VulkanBackend::expected_attention(const ExpectedAttention& args) {
  const int32_t head_dim = args.head_dim, n_heads = args.logits.n_rows, n_kv_heads = args.norms.n_rows;
  assert(n_heads % n_kv_heads == 0);
  const auto group = static_cast<uint>(n_heads / n_kv_heads);
  const auto dim = static_cast<uint>(head_dim), head_values = dim * (1 + dim);
  const uint32_t texels = groups_for(head_dim, 4);
  int32_t longest = 0;
  for (const HeadView& head : args.held) longest = std::max(longest, head.length);
  begin_stage(Stage::expected_attention, 4.0 * n_heads * head_values + 4.0 * args.kv.row_values * args.n_rows);

  const Buffer& table = head_table(args.held, n_kv_heads);
  const BufferUse queries(buffer_of(*args.queries), 0, uint64_t{4} * head_values * static_cast<uint64_t>(n_heads));
  const Buffer& linear = scratch("linear queries", size_t{16} * texels * static_cast<size_t>(n_heads));
  const Buffer& quadratic = scratch("quadratic queries", size_t{16} * texels * dim * static_cast<size_t>(n_heads));
  PackHeadsConstants pack{.n_rows = 1,
                          .head_dim = dim,
                          .x_offset = 0,
                          .x_stride = dim,
                          .x_head = head_values,
                          .is_transposed = 0,
                          .shift_stride = 0,
                          .factor = 1};
  pack_heads(pack, n_heads, queries, BufferUse(table), linear);
  pack.n_rows = dim;
  pack.x_offset = dim;
  pack_heads(pack, n_heads, queries, BufferUse(table), quadratic);

  const double column_flops = 2.0 * n_heads * head_dim * head_dim;
  const double affordable = std::min((dispatch_ms - cost_ms(0)) / (cost_ms(column_flops) - cost_ms(0)),
                                     max_product_bytes / (16.0 * texels * n_heads));
  // No more groups than a device allows in y.
  const int32_t step = std::clamp(static_cast<int32_t>(affordable) / 64 * 64, 64, 1 << 15);
  const auto attend = [&](bool is_held, int32_t first, int32_t count, int32_t column) {
    ColumnRange range{
        .is_held = is_held, .first = first, .count = count, .n_kv_heads = n_kv_heads, .head_dim = head_dim};
    const Buffer& keys = scratch("columns", range.bytes());
    const Buffer& values = scratch("value columns", range.bytes());
    const uint32_t n_columns = 4 * range.texels();
    const Buffer& products =
        scratch("expected products", size_t{16} * texels * n_columns * static_cast<size_t>(n_heads));
    const Buffer& positions = scratch("held positions", 16);
    load_columns(range, args.kv, table, keys, positions);
    range.is_v = true;
    load_columns(range, args.kv, table, values, positions);
    batch_product(Product::plain,
                  {.n_m = static_cast<uint>(count),
                   .n_n = dim,
                   .n_k = texels,
                   .x_offset = 0,
                   .x_batch = n_columns * texels,
                   .x_stride = texels,
                   .x_group = group,
                   .w_offset = 0,
                   .w_batch = dim * texels,
                   .w_stride = texels,
                   .w_group = 1,
                   .y_offset = 0,
                   .y_batch = 4 * n_columns * texels,
                   .y_stride = 4 * texels,
                   .flags = 0,
                   .length_at = 0,
                   .length_group = group,
                   .length_first = 0,
                   .diagonal = 0,
                   .position = 0,
                   .window = 0,
                   .positions_stride = 0},
                  n_heads, BufferUse(keys), BufferUse(quadratic), table, BufferUse(products));
    const ExpectedLogitsConstants constants{.n_columns = static_cast<uint>(count),
                                            .head_dim = dim,
                                            .group = group,
                                            .is_held = is_held ? 1u : 0u,
                                            .first = static_cast<uint>(first),
                                            .column = static_cast<uint>(column),
                                            .logits_offset = static_cast<uint>(args.logits.offset),
                                            .logits_stride = static_cast<uint>(args.logits.stride),
                                            .norms_offset = static_cast<uint>(args.norms.offset),
                                            .norms_stride = static_cast<uint>(args.norms.stride)};
    const auto texels_of = [](const Buffer& buffer) {
      return as_texels(BufferUse(buffer), VK_FORMAT_R32G32B32A32_SFLOAT);
    };
    queue_.dispatch(programs_.get("expected_logits"), {groups_for(count, 32), static_cast<uint32_t>(n_heads), 1},
                    words(constants),
                    {BufferUse(table), texels_of(keys), texels_of(values), texels_of(products), texels_of(linear),
                     use_of(args.logits), use_of(args.norms)},
                    cost_ms(8.0 * count * n_heads * head_dim));
  };
  for (int32_t first = 0; first < longest; first += step) attend(true, first, std::min(step, longest - first), first);
  for (int32_t first = 0; first < args.n_rows; first += step)
    attend(false, first, std::min(step, args.n_rows - first), args.n_held_columns + first);
}

}  // namespace headroom::vulkan
