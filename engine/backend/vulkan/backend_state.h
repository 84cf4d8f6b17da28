// Class VulkanBackend: what its operations share. Each operation is a member function in its own file, named after the
// shader that it starts. An operation waits for the device only if it returns something to the host.
#pragma once

#include <array>
#include <bit>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/device/kernel_params.h"
#include "engine/backend/device/page_table.h"
#include "engine/backend/stages.h"
#include "engine/backend/vulkan/queue.h"
#include "engine/backend/vulkan/step.h"
#include "engine/backend/vulkan/upload_arena.h"
#include "engine/backend/vulkan/vulkan_backend.h"
#include "engine/backend/vulkan/weight.h"

namespace headroom::vulkan {

/// Push constants in the form that the queue expects.
template <typename Constants>
std::array<uint32_t, sizeof(Constants) / 4> words(const Constants& constants) {
  return std::bit_cast<std::array<uint32_t, sizeof(Constants) / 4>>(constants);
}

inline uint32_t groups_for(int64_t n, int64_t per_group) {
  return static_cast<uint32_t>((n + per_group - 1) / per_group);
}

inline const Buffer& buffer_of(const DeviceBuffer& buffer) {
  return static_cast<const Buffer&>(buffer);
}

/// A shader gets an address as two words.
inline uint32_t low_word(uint64_t address) {
  return static_cast<uint32_t>(address);
}
inline uint32_t high_word(uint64_t address) {
  return static_cast<uint32_t>(address >> 32);
}

/// The buffer of a matrix, for an operation. The operation's constants say where in the buffer the matrix lies.
inline BufferUse use_of(const Matrix& m) {
  return buffer_of(*m.buffer);
}

/// Slabs of pages, and the table that shaders use to find them: uvec2 number i is the address of slab i.
class SlabTable {
 public:
  explicit SlabTable(Memory& memory, Queue& queue) : memory_(memory), queue_(queue) {}

  void set_layout(PageLayout layout) {
    layout_ = layout;
    pages_per_slab_ = layout.pages_per_slab();
  }
  PageLayout layout() const { return layout_; }
  void add(int32_t slab);
  void remove(int32_t slab);
  const Buffer& slab(int32_t i) const { return *slabs_[static_cast<size_t>(i)]; }
  bool has_table() const { return table_ != nullptr; }
  const Buffer& table() const { return *table_; }  // never null after the first add()
  /// The address of a page: a multiple of 64.
  uint64_t address(PageId page) const {
    return addresses_[static_cast<size_t>(page / pages_per_slab_)] +
           static_cast<uint64_t>(page % pages_per_slab_) * layout_.page_bytes();
  }
  /// The page in host memory. Call it only with unified memory.
  const std::byte* mapped(PageId page) const {
    return slab(page / pages_per_slab_).mapped() + static_cast<size_t>(page % pages_per_slab_) * layout_.page_bytes();
  }

 private:
  Memory& memory_;
  Queue& queue_;
  PageLayout layout_{0};
  int32_t pages_per_slab_ = 1;
  std::vector<std::unique_ptr<Buffer>> slabs_;  // by number
  std::vector<uint64_t> addresses_;             // by number
  std::unique_ptr<Buffer> table_;
};

/// Columns of attention that one operation processes, for some neighbouring KV heads: slots, or rows of the turn.
struct ColumnRange {
  bool is_held = false;
  int32_t first = 0;
  int32_t count = 0;
  int32_t kv_head = 0;
  int32_t n_kv_heads = 0;
  int32_t head_dim = 0;
  bool is_v = false;
  bool is_transposed = false;
  int32_t positions_stride = 0;  // 0: no positions wanted

  uint32_t texels() const { return groups_for(count, 4); }  // per row of columns
  /// Distance between rows of f32 values, in texels. It is odd for transposed rows: products read many rows side by
  /// side, and an even stride would map them to few cache sets.
  uint32_t stride() const { return is_transposed ? texels() | 1u : groups_for(head_dim, 4); }
  /// Distance between KV heads, in texels. Both dimensions are padded to whole texels.
  uint32_t head_stride() const { return 4 * stride() * (is_transposed ? groups_for(head_dim, 4) : texels()); }
  size_t bytes() const { return size_t{16} * head_stride() * static_cast<size_t>(n_kv_heads); }
};

/// Variants of batch_product (engine/backend/device/kernel_params.h).
enum class Product { plain, scores, mix };

/// Rows and KV heads whose scores are in memory at the same time.
struct AttendSplit {
  int32_t row = 0;  // of the block
  int32_t n_rows = 0;
  int32_t kv_head = 0;
  int32_t n_kv_heads = 0;
};

class VulkanBackend final : public Backend {
 public:
  explicit VulkanBackend(const VulkanOptions& options);
  ~VulkanBackend() override;

  const BackendInfo& info() const override { return info_; }

  std::unique_ptr<DeviceBuffer> allocate(size_t bytes) override;
  void upload(DeviceBuffer& to, size_t offset_bytes, std::span<const std::byte> from) override;
  void download(std::span<const ReadBack> parts) override;
  std::unique_ptr<DeviceWeight> load_weight(const TensorView& view) override;

  void embed(const DeviceWeight& table, std::span<const TokenId> ids, float scale, Matrix out) override;
  void rms_norm(Matrix x, const DeviceWeight& gain, float eps, Matrix out) override;
  void matmul(Matrix x, std::span<const MatmulTerm> terms, MatmulUse use) override;
  void rope(Matrix x, int32_t head_dim, int32_t position0, RopeStyle style, int32_t n_rot,
            const DeviceBuffer& frequencies) override;
  void add(Matrix x, Matrix y) override;
  void gated_activation(Activation activation, Matrix gate, Matrix up) override;
  void fill_zero(Matrix x) override;
  void store_kv(Matrix k, Matrix v, KvScratch kv, int32_t first_row) override;
  void attend_prefill(const AttendPrefill& args) override;
  void begin_query_moments(Matrix shift, int32_t head_dim, QueryMoments moments) override;
  void add_query_moments(Matrix q, int32_t head_dim, QueryMoments moments) override;
  void expected_attention(const ExpectedAttention& args) override;

  void set_page_layout(PageLayout layout) override { slabs_.set_layout(layout); }
  void add_slab(int32_t slab) override { slabs_.add(slab); }
  void remove_slab(int32_t slab) override;
  void copy_page(PageId from, PageId to) override;
  void gather_slots(std::span<const GatherHead> heads) override;
  void read_scores(std::span<const HeadView> heads, std::span<float> out) override;
  void read_rows(std::span<const HeadSlots> heads, std::span<uint16_t> out) override;

  std::unique_ptr<StepProgram> make_step(std::function<void()> operations, Matrix result) override;
  void prepare_step(StepProgram& program, const DecodeStep& step) override;
  StepReport run_step(std::span<float> result) override;
  void embed_token(const DeviceWeight& table, float scale, Matrix out) override;
  void rope_token(Matrix x, int32_t head_dim, RopeStyle style, int32_t n_rot, const DeviceBuffer& frequencies) override;
  void attend_decode(int32_t layer, Matrix q, Matrix k, Matrix v, float scale, Matrix out) override;
  void evict(int32_t layer) override;

  std::vector<StageTime> stage_times() const override { return queue_.stage_times(); }
  void reset_stage_times() override { queue_.reset_stage_times(); }
  BackendCounters counters() const override { return queue_.counters(); }
  double measure_read_gb_per_s() override;

 private:
  /// True: one row per lane. False: one row per subgroup.
  bool is_lane() const { return variant_ == VulkanVariant::lane; }
  /// Whether products with weights of this type need x in 16 bits.
  bool takes_dots(TensorType type) const { return variant_ == VulkanVariant::dot && type_traits(type).is_quantised(); }
  void begin_stage(Stage stage, double bytes) { queue_.begin_stage(static_cast<int32_t>(stage), bytes); }
  /// Estimated milliseconds for this many floating point operations on this device.
  double cost_ms(double flops) const { return 0.02 + flops * 1e-6 / gflops_; }
  /// For shaders whose work group is one subgroup: the size to require, or 0 if the device cannot require one.
  uint32_t required_subgroup() const {
    return device_.facts().has_subgroup_size_control ? device_.facts().subgroup_size : 0;
  }
  /// ids: null means the step's token.
  void embed_rows(const DeviceWeight& table, const Buffer* ids, float scale, Matrix out);
  /// position0: -1 means the step's position.
  void rotate(Matrix x, int32_t head_dim, int32_t position0, RopeStyle style, int32_t n_rot,
              const DeviceBuffer& frequencies);
  // The forms of x that products read: rows of texels that hold floats, or blocks in 16 bits.
  Matrix as_texel_rows(Matrix x);
  Matrix quantize_rows(Matrix x);
  void multiply(const Matrix& x, const Matrix& texels, const MatmulTerm& term, const VulkanWeight::Part& part);
  void multiply_rows(const Matrix& texels, int32_t n_in, const MatmulTerm& term, const VulkanWeight::Part& part,
                     int32_t first_token, bool in_tiles);
  // Attention of many rows (columns.cpp): loads columns of the cache and the turn as f32 rows, and multiplies such
  // rows.
  const Buffer& head_table(std::span<const HeadView> held, int32_t n_kv_heads);
  BufferUse slab_table_use(const Buffer& stand_in) const;
  void load_columns(const ColumnRange& range, const KvScratch& kv, const Buffer& table, const Buffer& values,
                    const Buffer& positions);
  void pack_heads(const PackHeadsConstants& constants, int32_t n_heads, BufferUse x, BufferUse shifts,
                  const Buffer& to);
  /// more: for scores the positions of held slots, for mix the sums of rows.
  void batch_product(Product product, const BatchProductConstants& constants, int32_t n_batches, BufferUse x,
                     BufferUse w, const Buffer& table, BufferUse y, const BufferUse& more = {});
  void attend_rows(const AttendPrefill& args, const Buffer& table, const AttendSplit& split);
  /// A buffer for an operation's own use, with at least this size. Calls with one name share a buffer.
  const Buffer& scratch(const std::string& name, size_t bytes);
  void release_prompt_scratch();
  void reserve_step(size_t bytes);
  const Buffer& step_buffer() const { return *step_buffer_; }
  /// The words of StepState, for shaders that both prefill and a step use.
  BufferUse step_use() const { return {*step_buffer_, 0, sizeof(StepState)}; }
  /// Heads, group counts and changes of the step, for shaders that only read them.
  BufferUse step_list_use() const { return {*step_buffer_, sizeof(StepState)}; }
  /// Reads the words of some slots from pages that the host cannot see. A slot is its page's address with the slot's
  /// number in the low bits.
  void read_slots(std::span<const uint64_t> slots, bool is_scores, std::span<std::byte> out);
  uint64_t slot_address(const HeadView& head, size_t slot) const {
    return slabs_.address(head.pages[slot / page_tokens]) | slot % page_tokens;
  }
  // A step (step.cpp).
  int64_t wanted_splits() const;
  std::vector<PageChange> update_page_table(const DecodeStep& step, size_t most_changes);
  void record_step(VulkanStep& step);
  void record_operations(VulkanStep& step);
  StepReport read_report(const VulkanStep& step, std::span<const ReportedHead> heads, const uint32_t* first_rows);
  void dispatch_evict(const VulkanStep& step, int32_t layer, bool is_first_pass);
  StepState& step_state() { return *reinterpret_cast<StepState*>(step_host_->mapped()); }

  Device device_;
  Memory memory_;
  Queue queue_;
  Programs programs_;
  BackendInfo info_;
  VulkanVariant variant_;  // never by_device
  double gflops_;
  struct Scratch {
    std::unique_ptr<Buffer> buffer;
    bool serves_steps = false;
  };
  std::map<std::string, Scratch> scratch_;
  std::array<std::vector<uint32_t>, 4> head_tables_;  // the words of the last four tables
  size_t next_head_table_ = 0;
  SlabTable slabs_;

  // Lists that operations on the cache read.
  UploadArena uploads_;

  // One token: what the host writes before each step (device/step_plan.h).
  VulkanStep* recorded_step_ = nullptr;  // while its operations are recorded
  VulkanStep* prepared_ = nullptr;       // runs next
  int64_t step_slots_ = 0;               // held by all heads in that step
  std::unique_ptr<Buffer> step_host_;    // mapped
  std::unique_ptr<Buffer> step_device_;  // its copy, if the memory is not unified
  const Buffer* step_buffer_ = nullptr;  // the one of the two that shaders read
  PageTable page_table_;
  std::unique_ptr<Buffer> table_buffer_;
  bool is_table_known_ = true;  // the last step that touched it has run
};

}  // namespace headroom::vulkan
