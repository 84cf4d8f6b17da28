// Products of activations with weights, and the table of tokens. The device and the number of tokens decide which
// shader computes a product; each variant is compiled once per tensor type. If a device has an instruction for dot
// products of bytes, x is converted to 16 bits once for all its quantised weights.
#include <algorithm>
#include <cassert>

#include "engine/backend/vulkan/backend_state.h"
#include "engine/backend/vulkan/weight.h"

namespace headroom::vulkan {
namespace {

// Rows of the weight and of x per invocation or work group of each shader.
constexpr int64_t lane_rows = 4, lane_group = 8, lane_tokens = 4;
constexpr int64_t tile = 64;
// With fewer tokens, the tiles of matmul_tile are too empty to be worthwhile.
constexpr int32_t min_tile_tokens = 9;
// Upper bound for one dispatch: the queue does not split it.
constexpr double dispatch_ms = 20;

}  // namespace

void VulkanBackend::embed(const DeviceWeight& table, std::span<const TokenId> ids, float scale, Matrix out) {
  assert(static_cast<size_t>(out.n_rows) == ids.size());
  const Buffer& buffer = scratch("embed ids", ids.size_bytes());
  queue_.upload(buffer, 0, std::as_bytes(ids));
  embed_rows(table, &buffer, scale, out);
}

void VulkanBackend::embed_token(const DeviceWeight& table, float scale, Matrix out) {
  assert(recorded_step_ != nullptr && out.n_rows == 1);
  embed_rows(table, nullptr, scale, out);
}

void VulkanBackend::embed_rows(const DeviceWeight& table, const Buffer* ids, float scale, Matrix out) {
  assert(out.n_cols == table.view().n_cols);
  begin_stage(Stage::embed, matrix_bytes(out) + static_cast<double>(table.view().row_bytes()) * out.n_rows);
  const VulkanWeight& weight = weight_of(table);
  const Program& program = programs_.get(std::string("embed.") + weight_format(weight.view().type).shader);
  for (const VulkanWeight::Part& part : weight.parts) {
    const EmbedConstants constants{.n_rows = static_cast<uint>(out.n_rows),
                                   .n_cols = static_cast<uint>(out.n_cols),
                                   .n_blocks = weight.n_blocks(),
                                   .unit_stride = weight.unit_stride(part),
                                   .unit_row_stride = weight.unit_row_stride(),
                                   .word_row_stride = weight.word_row_stride(),
                                   .first_row = static_cast<uint>(part.first_row),
                                   .part_rows = static_cast<uint>(part.n_rows),
                                   .out_offset = static_cast<uint>(out.offset),
                                   .out_stride = static_cast<uint>(out.stride),
                                   .is_step = ids == nullptr ? 1u : 0u,
                                   .scale = scale};
    queue_.dispatch(program, {groups_for(weight.n_blocks(), 8), static_cast<uint32_t>(out.n_rows), 1}, words(constants),
                    {BufferUse(*part.units), BufferUse(*part.words), BufferUse(ids != nullptr ? *ids : step_buffer()),
                     step_use(), use_of(out)},
                    cost_ms(20.0 * out.n_rows * out.n_cols));
  }
}

/// Returns x as rows of whole texels: x itself, or a copy if its offset or width does not allow that.
Matrix VulkanBackend::as_texel_rows(Matrix x) {
  if (x.offset % 4 == 0 && x.stride % 4 == 0 && x.n_cols % 32 == 0) return x;
  const int64_t stride = (int64_t{x.n_cols} + 31) / 32 * 32;
  const Buffer& buffer = scratch("matmul input", static_cast<size_t>(x.n_rows * stride) * sizeof(float));
  const Matrix packed{const_cast<Buffer*>(&buffer), 0, x.n_rows, static_cast<int32_t>(stride), stride};
  const PackConstants constants{.n_rows = static_cast<uint>(x.n_rows),
                                .n_cols = static_cast<uint>(x.n_cols),
                                .x_offset = static_cast<uint>(x.offset),
                                .x_stride = static_cast<uint>(x.stride)};
  queue_.dispatch(programs_.get("pack"), {groups_for(stride, 64), static_cast<uint32_t>(x.n_rows), 1}, words(constants),
                  {use_of(x), use_of(packed)}, cost_ms(2.0 * x.n_rows * x.n_cols));
  return packed;
}

/// Converts x to 16 bits: a matrix whose values are words, x_block_texels * 4 per 32 values of a row. Rows must be
/// whole blocks.
Matrix VulkanBackend::quantize_rows(Matrix x) {
  assert(x.n_cols % x_block_values == 0);
  constexpr int64_t group_values = 256;
  const int64_t stride = int64_t{x.n_cols} / x_block_values * x_block_texels * 4;
  // Steps have their own small buffer, so that a prompt's can be freed.
  const Buffer& buffer =
      scratch(recorded_step_ != nullptr ? "matmul input of a step, 16 bits" : "matmul input, 16 bits",
              static_cast<size_t>(x.n_rows * stride) * sizeof(uint32_t));
  const Matrix quantized{const_cast<Buffer*>(&buffer), 0, x.n_rows, static_cast<int32_t>(stride), stride};
  const QuantizeRowsConstants constants{.n_cols = static_cast<uint>(x.n_cols),
                                        .x_offset = static_cast<uint>(x.offset),
                                        .x_stride = static_cast<uint>(x.stride)};
  queue_.dispatch(programs_.get("quantize_rows"),
                  {groups_for(x.n_cols, group_values), static_cast<uint32_t>(x.n_rows), 1}, words(constants),
                  {use_of(x), use_of(quantized)}, cost_ms(10.0 * x.n_rows * x.n_cols));
  return quantized;
}

void VulkanBackend::matmul(Matrix x, std::span<const MatmulTerm> terms, MatmulUse use) {
  double bytes = matrix_bytes(x);
  for (const MatmulTerm& term : terms) {
    const TensorView& weight = term.weight->view();
    assert(weight.n_cols == x.n_cols && weight.n_rows == term.y.n_cols && term.y.n_rows == x.n_rows);
    bytes += static_cast<double>(weight.data.size()) + (term.accumulate ? 2 : 1) * matrix_bytes(term.y);
  }
  begin_stage(stage_of(use), bytes);
  Matrix floats{}, quantized{};  // each made if a term needs it
  for (const MatmulTerm& term : terms) {
    const bool takes_quantized = takes_dots(term.weight->view().type);
    Matrix& texels = takes_quantized ? quantized : floats;
    if (texels.buffer == nullptr) texels = takes_quantized ? quantize_rows(x) : as_texel_rows(x);
    for (const VulkanWeight::Part& part : weight_of(*term.weight).parts) multiply(x, texels, term, part);
  }
}

/// Computes one part of one product, in pieces of rows of x that are short enough for a desktop that waits.
void VulkanBackend::multiply(const Matrix& x, const Matrix& texels, const MatmulTerm& term,
                             const VulkanWeight::Part& part) {
  const double flops_per_token = 2.0 * static_cast<double>(part.n_rows) * x.n_cols;
  const auto affordable = static_cast<int64_t>(dispatch_ms / std::max(cost_ms(flops_per_token) - cost_ms(0), 1e-9));
  // Whole tiles, and no more groups than a device allows in y.
  const auto step = static_cast<int32_t>(std::clamp<int64_t>(affordable / tile * tile, tile, 64 * tile));
  const bool has_full_tiles = x.n_rows >= min_tile_tokens;
  for (int32_t first = 0; first < x.n_rows;) {
    int32_t n = std::min(step, x.n_rows - first);
    if (is_lane() && affordable < tile)
      n = static_cast<int32_t>(std::min<int64_t>(n, std::max(affordable / lane_tokens * lane_tokens, lane_tokens)));
    if (is_lane() && n > lane_tokens) n = static_cast<int32_t>(n / lane_tokens * lane_tokens);
    multiply_rows(texels.rows(first, n), x.n_cols, term, part, first, !is_lane() && has_full_tiles);
    first += n;
  }
}

void VulkanBackend::multiply_rows(const Matrix& texels, int32_t n_in, const MatmulTerm& term,
                                  const VulkanWeight::Part& part, int32_t first_token, bool in_tiles) {
  const VulkanWeight& weight = weight_of(*term.weight);
  const std::string type =
      std::string(weight_format(weight.view().type).shader) + (takes_dots(weight.view().type) ? ".dot" : "");
  const Matrix y = term.y.rows(first_token, texels.n_rows);
  const int32_t n_tokens = texels.n_rows;
  MatmulConstants constants{
      .n_in = static_cast<uint>(n_in),
      .n_out = static_cast<uint>(part.n_rows),
      .n_tokens = static_cast<uint>(n_tokens),
      .x_offset = static_cast<uint>(texels.offset / 4),
      .x_stride = static_cast<uint>(texels.stride / 4),
      .y_offset = static_cast<uint>(y.offset + part.first_row),
      .y_stride = static_cast<uint>(y.stride),
      .unit_stride = weight.unit_stride(part),
      .unit_row_stride = weight.unit_row_stride(),
      .word_row_stride = weight.word_row_stride(),
      .bias_first = static_cast<uint>(part.first_row),
      .flags = (term.bias != nullptr ? matmul_has_bias : 0) | (term.accumulate ? matmul_accumulates : 0)};
  // A shader without a bias does not read it, so any buffer can be bound.
  const BufferUse bias = term.bias != nullptr ? BufferUse(vector_of(*term.bias)) : BufferUse(*part.words);
  const double cost = cost_ms(2.0 * static_cast<double>(part.n_rows) * n_in * n_tokens);
  if (is_lane()) {
    const uint32_t threads = groups_for(part.n_rows, lane_rows);
    const auto run = [&](int32_t first, int32_t n, uint32_t tokens_per_lane) {
      if (n == 0) return;
      MatmulConstants piece = constants;
      piece.n_tokens = static_cast<uint>(n);
      piece.x_offset += static_cast<uint>(first) * piece.x_stride;
      piece.y_offset += static_cast<uint>(first) * piece.y_stride;
      const uint32_t special[] = {tokens_per_lane};
      queue_.dispatch(programs_.get("matmul_lane." + type, special),
                      {groups_for(threads, lane_group), static_cast<uint32_t>(n) / tokens_per_lane, 1}, words(piece),
                      {as_texels(BufferUse(*part.units), VK_FORMAT_R32G32B32A32_UINT), BufferUse(*part.words),
                       as_texels(use_of(texels), VK_FORMAT_R32G32B32A32_SFLOAT), bias, use_of(y)},
                      cost * n / n_tokens);
    };
    const auto n_whole = static_cast<int32_t>(n_tokens / lane_tokens * lane_tokens);
    run(0, n_whole, static_cast<uint32_t>(lane_tokens));
    run(n_whole, n_tokens - n_whole, 1);
    return;
  }
  const std::initializer_list<BufferUse> uses{BufferUse(*part.units), BufferUse(*part.words), use_of(texels), bias,
                                              use_of(y)};
  if (in_tiles) {
    queue_.dispatch(programs_.get("matmul_tile." + type),
                    {groups_for(part.n_rows, tile), groups_for(n_tokens, tile), 1}, words(constants), uses, cost);
    return;
  }
  const uint32_t special[] = {device_.facts().subgroup_size};
  const uint32_t n_x = std::min(static_cast<uint32_t>(part.n_rows), device_.facts().max_groups);
  queue_.dispatch(programs_.get("matmul_subgroup." + type, special, required_subgroup()),
                  {n_x, static_cast<uint32_t>(n_tokens), groups_for(part.n_rows, n_x)}, words(constants), uses, cost);
}

}  // namespace headroom::vulkan
