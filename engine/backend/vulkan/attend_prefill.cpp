// Attention of a block of rows, by products: scores = q k^T in memory, their softmax in place, out = probabilities v,
// and the sums over rows from these probabilities. Keys and values are first loaded as f32 rows, some columns at a
// time. Pages of every type and the turn's own rows then use the same code.
//
//   split (rows x KV heads)   scores (query head, row, column): held slots, padded to whole texels, then turn rows
//     for each column range   load K ─► scores
//     softmax
//     for each column range   load V, transposed ─► out
//     sums
#include <algorithm>
#include <cassert>
#include <numbers>

#include "engine/backend/vulkan/backend_state.h"

namespace headroom::vulkan {
namespace {

// Upper bound for one dispatch, in ms.
constexpr double dispatch_ms = 20;
constexpr double max_score_bytes = 32 << 20, max_column_bytes = 8 << 20;
constexpr int32_t max_rows = 256;
// Columns are loaded once per split; if a split has fewer rows, this takes a noticeable share of the time.
constexpr int32_t good_rows = 64;
// Estimated operations per score in the softmax.
constexpr double score_flops = 40;
constexpr int64_t sums_group = 32;  // LOCAL_SIZE of attend_sums

int32_t down_to(double n, int32_t multiple, int32_t at_most) {
  return std::min(at_most, std::max(multiple, static_cast<int32_t>(n) / multiple * multiple));
}

/// The turn rows visible to rows first … first + n - 1.
std::pair<int32_t, int32_t> turn_range(const AttendPrefill& args, int32_t first, int32_t n) {
  return {args.window == 0 ? 0 : std::max(0, first - args.window + 1), first + n};
}

}  // namespace

void VulkanBackend::attend_prefill(const AttendPrefill& args) {
  const int32_t n_rows = args.q.n_rows, head_dim = args.head_dim;
  const int32_t n_kv_heads = args.kv.row_values / head_dim, group = args.q.n_cols / head_dim / n_kv_heads;
  assert(args.first_row + n_rows <= args.kv.capacity_rows && args.out.n_cols == args.q.n_cols);
  assert(args.held.empty() || args.held.size() == static_cast<size_t>(n_kv_heads));
  double n_columns = 0;  // of all KV heads
  int32_t longest = 0;
  for (const HeadView& head : args.held) {
    n_columns += head.length;
    longest = std::max(longest, head.length);
  }
  const auto [turn_first, turn_end] = turn_range(args, args.first_row, n_rows);
  n_columns += double{1} * n_kv_heads * (turn_end - turn_first);
  queue_.add_stage_bytes(static_cast<int32_t>(Stage::attend_prefill),
                         2 * matrix_bytes(args.q) + n_columns * 4 * head_dim);

  const Buffer& table = head_table(args.held, n_kv_heads);
  const double row_scores = double{1} * group * (longest + turn_end - turn_first);  // per row and KV head
  const double scores =
      std::min(max_score_bytes / 4, (dispatch_ms - cost_ms(0)) / (cost_ms(1) - cost_ms(0)) / score_flops);
  AttendSplit size{.n_rows = std::min(n_rows, max_rows), .n_kv_heads = n_kv_heads};
  if (size.n_rows * n_kv_heads * row_scores > scores)
    size.n_rows = down_to(scores / (n_kv_heads * row_scores), good_rows, size.n_rows);
  if (size.n_rows * n_kv_heads * row_scores > scores)
    size.n_kv_heads = down_to(scores / (size.n_rows * row_scores), 1, n_kv_heads);
  if (size.n_rows * size.n_kv_heads * row_scores > scores)
    size.n_rows = down_to(scores / (size.n_kv_heads * row_scores), 4, size.n_rows);
  for (int32_t row = 0; row < n_rows; row += size.n_rows)
    for (int32_t head = 0; head < n_kv_heads; head += size.n_kv_heads)
      attend_rows(args, table,
                  {.row = row,
                   .n_rows = std::min(size.n_rows, n_rows - row),
                   .kv_head = head,
                   .n_kv_heads = std::min(size.n_kv_heads, n_kv_heads - head)});
}

void VulkanBackend::attend_rows(const AttendPrefill& args, const Buffer& table, const AttendSplit& split) {
  begin_stage(Stage::attend_prefill, 0);
  const int32_t head_dim = args.head_dim, n_kv_heads = args.kv.row_values / head_dim;
  const int32_t n_q_heads = args.q.n_cols / head_dim, group = n_q_heads / n_kv_heads;
  const int32_t n_heads = split.n_kv_heads * group, first_head = split.kv_head * group;
  const int32_t row_first = args.first_row + split.row;
  const auto [turn_first, turn_end] = turn_range(args, row_first, split.n_rows);
  const int32_t n_turn = turn_end - turn_first;
  int32_t n_held = 0;
  if (!args.held.empty())
    for (int32_t h = 0; h < split.n_kv_heads; ++h)
      n_held = std::max(n_held, args.held[static_cast<size_t>(split.kv_head + h)].length);
  const uint32_t texels = groups_for(head_dim, 4), held_texels = groups_for(n_held, 4);
  const uint32_t stride = held_texels + groups_for(n_turn, 4);  // per row of scores
  const auto n_rows = static_cast<uint32_t>(split.n_rows);

  const double n_scores = 4.0 * n_heads * n_rows * stride;
  const Buffer& scores = scratch("scores", static_cast<size_t>(n_scores) * sizeof(float));
  const BufferUse scores_use(scores, 0, static_cast<uint64_t>(n_scores) * sizeof(float));
  const Buffer& queries = scratch("packed queries", size_t{16} * static_cast<size_t>(n_heads) * n_rows * texels);
  // One texel per two rows.
  const size_t sums_bytes = size_t{16} * static_cast<size_t>(n_heads) * groups_for(n_rows, 2);
  const BufferUse sums_use(scratch("row sums", sums_bytes), 0, sums_bytes);
  const Buffer& positions =
      scratch("held positions", size_t{16} * std::max(1u, held_texels) * static_cast<size_t>(split.n_kv_heads));

  // Columns per dispatch, at most.
  const double column_flops = 2.0 * n_heads * n_rows * head_dim;
  const double affordable = (dispatch_ms - cost_ms(0)) / (cost_ms(column_flops) - cost_ms(0));
  const int32_t step = down_to(std::min(affordable, max_column_bytes / (16.0 * texels * split.n_kv_heads)), 64,
                               std::max(n_held, n_turn) + 64);
  std::vector<ColumnRange> ranges;
  const auto cut = [&](bool is_held, int32_t begin, int32_t end) {
    for (int32_t first = begin; first < end; first += step)
      ranges.push_back({.is_held = is_held,
                        .first = first,
                        .count = std::min(step, end - first),
                        .kv_head = split.kv_head,
                        .n_kv_heads = split.n_kv_heads,
                        .head_dim = head_dim});
  };
  cut(true, 0, n_held);
  cut(false, turn_first, turn_end);
  size_t column_bytes = 0;
  for (ColumnRange range : ranges) {
    column_bytes = std::max(column_bytes, range.bytes());
    range.is_transposed = true;
    column_bytes = std::max(column_bytes, range.bytes());
  }
  const Buffer& columns = scratch("columns", column_bytes);

  // The first texel of a range's scores in a row.
  const auto texel_of = [&](const ColumnRange& range) {
    return range.is_held ? static_cast<uint32_t>(range.first) / 4
                         : held_texels + static_cast<uint32_t>(range.first - turn_first) / 4;
  };
  // scores, in powers of two
  pack_heads({.n_rows = n_rows,
              .head_dim = static_cast<uint>(head_dim),
              .x_offset = static_cast<uint>(args.q.offset + split.row * args.q.stride + first_head * head_dim),
              .x_stride = static_cast<uint>(args.q.stride),
              .x_head = static_cast<uint>(head_dim),
              .is_transposed = 0,
              .shift_stride = 0,
              .factor = args.scale * std::numbers::log2e_v<float>},
             n_heads, use_of(args.q), BufferUse(table), queries);
  for (ColumnRange range : ranges) {
    range.positions_stride = static_cast<int32_t>(4 * held_texels);
    load_columns(range, args.kv, table, columns, positions);
    batch_product(Product::scores,
                  {.n_m = n_rows,
                   .n_n = 4 * range.texels(),
                   .n_k = texels,
                   .x_offset = 0,
                   .x_batch = n_rows * texels,
                   .x_stride = texels,
                   .x_group = 1,
                   .w_offset = 0,
                   .w_batch = range.head_stride(),
                   .w_stride = range.stride(),
                   .w_group = static_cast<uint>(group),
                   .y_offset = 4 * texel_of(range),
                   .y_batch = 4 * n_rows * stride,
                   .y_stride = 4 * stride,
                   .flags = range.is_held ? product_n_by_length : product_n_by_row,
                   .length_at = 2 * static_cast<uint>(split.kv_head),
                   .length_group = static_cast<uint>(group),
                   .length_first = static_cast<uint>(range.first),
                   .diagonal = row_first - range.first,
                   .position = static_cast<uint>(args.position0 + row_first),
                   .window = static_cast<uint>(args.window),
                   .positions_stride = 4 * held_texels},
                  n_heads, BufferUse(queries), BufferUse(columns), table, scores_use, BufferUse(positions));
  }

  // softmax
  begin_stage(Stage::attend_prefill_softmax, 4.0 * n_scores);
  const ScoreBlock block{.n_rows = n_rows,
                         .stride = stride,
                         .kv_head = static_cast<uint>(split.kv_head),
                         .group = static_cast<uint>(group),
                         .held_texels = held_texels,
                         .turn_first = static_cast<uint>(turn_first),
                         .n_turn = static_cast<uint>(n_turn),
                         .row_first = static_cast<uint>(row_first),
                         .position0 = static_cast<uint>(args.position0)};
  const BufferUse positions_use = as_texels(BufferUse(positions), VK_FORMAT_R32G32B32A32_UINT);
  const BufferUse score_texels = as_texels(scores_use, VK_FORMAT_R32G32B32A32_SFLOAT);
  const uint32_t special[] = {device_.facts().subgroup_size};
  queue_.dispatch(programs_.get("attend_softmax", special, required_subgroup()),
                  {n_rows, static_cast<uint32_t>(n_heads), 1}, words(AttendSoftmaxConstants{block}),
                  {BufferUse(table), score_texels, sums_use}, cost_ms(score_flops * n_scores));

  // out
  begin_stage(Stage::attend_prefill_mix, 4.0 * n_scores);
  const Matrix out = args.out.rows(split.row, split.n_rows);
  for (ColumnRange range : ranges) {
    const bool is_first = range.first == ranges.front().first && range.is_held == ranges.front().is_held;
    range.is_v = range.is_transposed = true;
    load_columns(range, args.kv, table, columns, positions);
    batch_product(
        Product::mix,
        {.n_m = n_rows,
         .n_n = static_cast<uint>(head_dim),
         .n_k = range.texels(),
         .x_offset = texel_of(range),
         .x_batch = n_rows * stride,
         .x_stride = stride,
         .x_group = 1,
         .w_offset = 0,
         .w_batch = range.head_stride(),
         .w_stride = range.stride(),
         .w_group = static_cast<uint>(group),
         .y_offset = static_cast<uint>(out.offset + first_head * head_dim),
         .y_batch = static_cast<uint>(head_dim),
         .y_stride = static_cast<uint>(out.stride),
         .flags = (is_first ? 0 : product_accumulates) | (range.is_held ? product_k_by_length : product_k_by_row),
         .length_at = 2 * static_cast<uint>(split.kv_head),
         .length_group = static_cast<uint>(group),
         .length_first = static_cast<uint>(range.first),
         .diagonal = row_first - range.first,
         .position = 0,
         .window = 0,
         .positions_stride = 0},
        n_heads, scores_use, BufferUse(columns), table, use_of(out), as_texels(sums_use, VK_FORMAT_R32G32_SFLOAT));
  }

  // sums
  const bool has_recent = args.recent_mass.buffer != nullptr && args.recent_from < row_first + split.n_rows;
  if (args.attention_mass.buffer == nullptr && args.windowed_mass.buffer == nullptr && !has_recent) return;
  begin_stage(Stage::attend_prefill_sums, 4.0 * n_scores);
  const Buffer& none = scratch("no sums", sizeof(float));
  const auto profile_use = [&](const Matrix& m) { return m.buffer != nullptr ? use_of(m) : BufferUse(none); };
  const AttendSumsConstants constants{.block = block,
                                      .q_head = static_cast<uint>(first_head),
                                      .n_q_heads = static_cast<uint>(n_q_heads),
                                      .turn_column = static_cast<uint>(args.n_held_columns + turn_first),
                                      .col_offset = static_cast<uint>(args.attention_mass.offset),
                                      .col_stride = static_cast<uint>(args.attention_mass.stride),
                                      .win_offset = static_cast<uint>(args.windowed_mass.offset),
                                      .win_stride = static_cast<uint>(args.windowed_mass.stride),
                                      .recent_offset = static_cast<uint>(args.recent_mass.offset),
                                      .recent_stride = static_cast<uint>(args.recent_mass.stride),
                                      .has_col = args.attention_mass.buffer != nullptr ? 1u : 0u,
                                      .win_tokens_0 = static_cast<uint>(args.win_tokens[0]),
                                      .win_tokens_1 = static_cast<uint>(args.win_tokens[1]),
                                      .win_tokens_2 = static_cast<uint>(args.win_tokens[2]),
                                      .recent_from = static_cast<uint>(args.recent_from)};
  const uint32_t kinds[] = {args.windowed_mass.buffer != nullptr ? static_cast<uint32_t>(args.n_win) : 0u,
                            has_recent ? 1u : 0u};
  queue_.dispatch(programs_.get("attend_sums", kinds),
                  {groups_for(stride, sums_group), static_cast<uint32_t>(n_heads), 1}, words(constants),
                  {BufferUse(table), positions_use, score_texels, as_texels(sums_use, VK_FORMAT_R32G32B32A32_SFLOAT),
                   profile_use(args.attention_mass), profile_use(args.windowed_mass), profile_use(args.recent_mass)},
                  cost_ms(score_flops * n_scores));
}

}  // namespace headroom::vulkan
