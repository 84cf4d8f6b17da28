// Code that the attention operations on many rows share: tables of held slots, columns of the cache and the turn as f32
// rows, and products of such rows.
#include <algorithm>
#include <cassert>

#include "engine/backend/device/slot_words.h"
#include "engine/backend/vulkan/backend_state.h"

namespace headroom::vulkan {
namespace {

constexpr int64_t load_group = 64;             // LOCAL_SIZE of load_columns and pack_heads
constexpr int64_t lane_n = 4, lane_n_mix = 8;  // columns per lane in batch_product_lane
constexpr uint32_t max_lane_m = 8;             // most rows per lane there
constexpr int64_t tile = 64;                   // columns and rows per group in batch_product_tile

}  // namespace

/// Holds the length and the begin of the page list for each KV head, then the lists. Tables are kept between calls,
/// since all blocks of a prompt need the same heads.
const Buffer& VulkanBackend::head_table(std::span<const HeadView> held, int32_t n_kv_heads) {
  std::vector<uint32_t> words(static_cast<size_t>(2 * n_kv_heads));
  for (size_t h = 0; h < held.size(); ++h) {
    words[2 * h] = static_cast<uint32_t>(held[h].length);
    words[2 * h + 1] = static_cast<uint32_t>(words.size());
    const auto n_pages = static_cast<size_t>((held[h].length + page_tokens - 1) / page_tokens);
    for (const PageId page : held[h].pages.first(n_pages)) words.push_back(static_cast<uint32_t>(page));
  }
  size_t i = 0;
  while (i < head_tables_.size() && head_tables_[i] != words) ++i;
  const bool is_known = i < head_tables_.size();
  if (!is_known) {
    i = next_head_table_;
    next_head_table_ = (i + 1) % head_tables_.size();
    head_tables_[i].clear();  // its contents are unknown if the upload fails
  }
  const Buffer& buffer = scratch("head table " + std::to_string(i), std::bit_ceil(words.size() * sizeof(uint32_t)));
  if (!is_known) {
    queue_.upload(buffer, 0, std::as_bytes(std::span(words)));
    head_tables_[i] = std::move(words);
  }
  return buffer;
}

/// Returns stand_in if no slab was ever added; no shader reads the table then.
BufferUse VulkanBackend::slab_table_use(const Buffer& stand_in) const {
  return slabs_.has_table() ? BufferUse(slabs_.table()) : BufferUse(stand_in);
}

void VulkanBackend::load_columns(const ColumnRange& range, const KvScratch& kv, const Buffer& table,
                                 const Buffer& values, const Buffer& positions) {
  assert(values.size_bytes() >= range.bytes());
  // For the scratch, the layout needs only the head size.
  const PageLayout layout = range.is_held ? slabs_.layout() : PageLayout{range.head_dim};
  assert(layout.head_dim == range.head_dim);
  const Buffer& turn = buffer_of(*kv.buffer);
  const uint64_t address = turn.address();
  const LoadColumnsConstants constants{.kv_head = static_cast<uint>(range.kv_head),
                                       .head_dim = static_cast<uint>(range.head_dim),
                                       .n_columns = static_cast<uint>(range.count),
                                       .first = static_cast<uint>(range.first),
                                       .is_held = range.is_held ? 1u : 0u,
                                       .is_v = range.is_v ? 1u : 0u,
                                       .is_transposed = range.is_transposed ? 1u : 0u,
                                       .stride = range.stride(),
                                       .has_positions = range.is_held && range.positions_stride > 0 ? 1u : 0u,
                                       .positions_stride = static_cast<uint>(range.positions_stride),
                                       .row_values = static_cast<uint>(kv.row_values),
                                       .capacity_rows = static_cast<uint>(kv.capacity_rows),
                                       .kv_low = low_word(address),
                                       .kv_high = high_word(address),
                                       .pages_per_slab = static_cast<uint>(layout.pages_per_slab()),
                                       .page_bytes = static_cast<uint>(layout.page_bytes())};
  const int64_t n_threads = int64_t{range.texels()} * groups_for(range.head_dim, 4);
  queue_.dispatch(programs_.get(std::string("load_columns.") + page_variant(layout), page_constants(layout, 0)),
                  {groups_for(n_threads, load_group), static_cast<uint32_t>(range.n_kv_heads), 1}, words(constants),
                  {slab_table_use(table), BufferUse(table), BufferUse(values, 0, range.bytes()), BufferUse(positions)},
                  cost_ms(8.0 * range.count * range.head_dim * range.n_kv_heads),
                  range.is_held ? Pages::read : Pages::none, {.buffer = &turn});
}

void VulkanBackend::pack_heads(const PackHeadsConstants& constants, int32_t n_heads, BufferUse x, BufferUse shifts,
                               const Buffer& to) {
  const int64_t n_threads = int64_t{groups_for(constants.n_rows, 4)} * groups_for(constants.head_dim, 4);
  queue_.dispatch(programs_.get("pack_heads"), {groups_for(n_threads, load_group), static_cast<uint32_t>(n_heads), 1},
                  words(constants), {x, shifts, BufferUse(to)},
                  cost_ms(4.0 * constants.n_rows * constants.head_dim * n_heads));
}

void VulkanBackend::batch_product(Product product, const BatchProductConstants& constants, int32_t n_batches,
                                  BufferUse x, BufferUse w, const Buffer& table, BufferUse y, const BufferUse& more) {
  const double cost = cost_ms(8.0 * constants.n_m * constants.n_n * constants.n_k * n_batches);
  const char* variant = product == Product::plain ? ".plain" : product == Product::scores ? ".scores" : ".mix";
  const uint32_t lanes = device_.facts().subgroup_size, lane_m = std::min(lanes, max_lane_m);
  const uint32_t special[] = {lanes, lane_m};
  const Program& program =
      is_lane() ? programs_.get(std::string("batch_product_lane") + variant, special, required_subgroup())
                : programs_.get(std::string("batch_product_tile") + variant);
  const int64_t group_n = is_lane() ? lanes * (product == Product::mix ? lane_n_mix : lane_n) : tile;
  const int64_t group_m = is_lane() ? lane_m : tile;
  const std::array<uint32_t, 3> groups{groups_for(constants.n_n, group_n), groups_for(constants.n_m, group_m),
                                       static_cast<uint32_t>(n_batches)};
  if (is_lane()) {
    x = as_texels(x, VK_FORMAT_R32G32B32A32_SFLOAT);
    w = as_texels(w, VK_FORMAT_R32G32B32A32_SFLOAT);
  }
  if (product == Product::plain)
    queue_.dispatch(program, groups, words(constants), {x, w, BufferUse(table), y}, cost);
  else
    queue_.dispatch(program, groups, words(constants), {x, w, BufferUse(table), y, more}, cost);
}

}  // namespace headroom::vulkan
