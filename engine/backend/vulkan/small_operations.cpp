// Operations that visit a matrix once: one thread per value or pair, or one subgroup per row.
#include <algorithm>
#include <cassert>

#include "engine/backend/vulkan/backend_state.h"
#include "engine/backend/vulkan/weight.h"

namespace headroom::vulkan {
namespace {

constexpr int64_t group_size = 64;  // LOCAL_SIZE of the shaders

}  // namespace

void VulkanBackend::add(Matrix x, Matrix y) {
  assert(x.n_rows == y.n_rows && x.n_cols == y.n_cols);
  begin_stage(Stage::add, 3 * matrix_bytes(x));
  const AddConstants constants{.n_rows = static_cast<uint>(x.n_rows),
                               .n_cols = static_cast<uint>(x.n_cols),
                               .x_offset = static_cast<uint>(x.offset),
                               .x_stride = static_cast<uint>(x.stride),
                               .y_offset = static_cast<uint>(y.offset),
                               .y_stride = static_cast<uint>(y.stride)};
  queue_.dispatch(programs_.get("add"), {groups_for(x.n_cols, group_size), static_cast<uint32_t>(x.n_rows), 1},
                  words(constants), {use_of(x), use_of(y)}, cost_ms(2.0 * x.n_rows * x.n_cols));
}

void VulkanBackend::gated_activation(Activation activation, Matrix gate, Matrix up) {
  assert(gate.n_rows == up.n_rows && gate.n_cols == up.n_cols);
  begin_stage(Stage::gated_activation, 3 * matrix_bytes(gate));
  const GatedActivationConstants constants{.n_rows = static_cast<uint>(gate.n_rows),
                                           .n_cols = static_cast<uint>(gate.n_cols),
                                           .gate_offset = static_cast<uint>(gate.offset),
                                           .gate_stride = static_cast<uint>(gate.stride),
                                           .up_offset = static_cast<uint>(up.offset),
                                           .up_stride = static_cast<uint>(up.stride),
                                           .activation = activation == Activation::silu ? 0u : 1u};
  queue_.dispatch(programs_.get("gated_activation"),
                  {groups_for(gate.n_cols, group_size), static_cast<uint32_t>(gate.n_rows), 1}, words(constants),
                  {use_of(gate), use_of(up)}, cost_ms(20.0 * gate.n_rows * gate.n_cols));
}

void VulkanBackend::fill_zero(Matrix x) {
  begin_stage(Stage::fill_zero, matrix_bytes(x));
  const auto bytes = static_cast<uint64_t>(x.n_cols) * 4;
  const Buffer& buffer = buffer_of(*x.buffer);
  if (x.stride == x.n_cols) {
    queue_.fill({buffer, static_cast<uint64_t>(x.offset) * 4, bytes * static_cast<uint64_t>(x.n_rows)}, 0);
    return;
  }
  for (int64_t r = 0; r < x.n_rows; ++r)
    queue_.fill({buffer, static_cast<uint64_t>(x.offset + r * x.stride) * 4, bytes}, 0);
}

void VulkanBackend::rms_norm(Matrix x, const DeviceWeight& gain, float eps, Matrix out) {
  assert(x.n_rows == out.n_rows && x.n_cols == out.n_cols && gain.view().n_cols == x.n_cols);
  begin_stage(Stage::rms_norm, matrix_bytes(x) + matrix_bytes(out) + 4.0 * x.n_cols);
  const RmsNormConstants constants{.n_rows = static_cast<uint>(x.n_rows),
                                   .n_cols = static_cast<uint>(x.n_cols),
                                   .x_offset = static_cast<uint>(x.offset),
                                   .x_stride = static_cast<uint>(x.stride),
                                   .out_offset = static_cast<uint>(out.offset),
                                   .out_stride = static_cast<uint>(out.stride),
                                   .eps = eps};
  // If out is x, one buffer is bound twice: the shader reads a whole row before it writes it.
  const uint32_t special[] = {device_.facts().subgroup_size};
  queue_.dispatch(programs_.get("rms_norm", special, required_subgroup()), {static_cast<uint32_t>(x.n_rows), 1, 1},
                  words(constants), {use_of(x), vector_of(gain), use_of(out)}, cost_ms(8.0 * x.n_rows * x.n_cols));
}

void VulkanBackend::rope(Matrix x, int32_t head_dim, int32_t position0, RopeStyle style, int32_t n_rot,
                         const DeviceBuffer& frequencies) {
  rotate(x, head_dim, position0, style, n_rot, frequencies);
}

void VulkanBackend::rope_token(Matrix x, int32_t head_dim, RopeStyle style, int32_t n_rot,
                               const DeviceBuffer& frequencies) {
  assert(recorded_step_ != nullptr && x.n_rows == 1);
  rotate(x, head_dim, -1, style, n_rot, frequencies);
}

void VulkanBackend::rotate(Matrix x, int32_t head_dim, int32_t position0, RopeStyle style, int32_t n_rot,
                           const DeviceBuffer& frequencies) {
  assert(x.n_cols % head_dim == 0 && static_cast<size_t>(n_rot) * sizeof(float) / 2 <= frequencies.size_bytes());
  begin_stage(Stage::rope, 2 * matrix_bytes(x));
  const int32_t n_heads = x.n_cols / head_dim;
  const RopeConstants constants{.n_rows = static_cast<uint>(x.n_rows),
                                .n_heads = static_cast<uint>(n_heads),
                                .head_dim = static_cast<uint>(head_dim),
                                .x_offset = static_cast<uint>(x.offset),
                                .x_stride = static_cast<uint>(x.stride),
                                .n_rot = static_cast<uint>(n_rot),
                                .is_interleaved = style == RopeStyle::interleaved ? 1u : 0u,
                                .is_step = position0 < 0 ? 1u : 0u,
                                .position0 = static_cast<uint>(std::max(position0, 0))};
  queue_.dispatch(programs_.get("rope"),
                  {groups_for(int64_t{n_heads} * (n_rot / 2), group_size), static_cast<uint32_t>(x.n_rows), 1},
                  words(constants), {use_of(x), BufferUse(buffer_of(frequencies)), step_use()},
                  cost_ms(60.0 * x.n_rows * n_heads * n_rot));
}

void VulkanBackend::store_kv(Matrix k, Matrix v, KvScratch kv, int32_t first_row) {
  assert(k.n_cols == kv.row_values && v.n_cols == kv.row_values && first_row + k.n_rows <= kv.capacity_rows);
  begin_stage(Stage::store_kv, 3 * matrix_bytes(k));
  const Buffer& scratch = buffer_of(*kv.buffer);
  const uint64_t address = scratch.address();
  const StoreKvConstants constants{.n_rows = static_cast<uint>(k.n_rows),
                                   .row_values = static_cast<uint>(kv.row_values),
                                   .k_offset = static_cast<uint>(k.offset),
                                   .k_stride = static_cast<uint>(k.stride),
                                   .v_offset = static_cast<uint>(v.offset),
                                   .v_stride = static_cast<uint>(v.stride),
                                   .first_row = static_cast<uint>(first_row),
                                   .capacity_rows = static_cast<uint>(kv.capacity_rows),
                                   .kv_low = low_word(address),
                                   .kv_high = high_word(address)};
  queue_.dispatch(programs_.get("store_kv"),
                  {groups_for(kv.row_values / 2, group_size), static_cast<uint32_t>(k.n_rows), 1}, words(constants),
                  {use_of(k), use_of(v)}, cost_ms(20.0 * k.n_rows * k.n_cols), Pages::none,
                  {.buffer = &scratch, .is_written = true});
}

}  // namespace headroom::vulkan
