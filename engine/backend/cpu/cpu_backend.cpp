// Class Backend on the CPU: turns buffers into pointers, times each stage and calls the operation.
#include "engine/backend/cpu/cpu_backend.h"

#include "engine/backend/cpu/cpu_features.h"
#include "engine/backend/cpu/host_memory.h"
#include "engine/backend/cpu/matmul.h"
#include "engine/backend/cpu/operations.h"
#include "engine/backend/cpu/simd_targets.h"
#include "engine/base/platform/platform.h"

namespace headroom {
namespace {

class CpuBackend final : public HostBackend {
 public:
  CpuBackend(int n_threads, size_t kv_limit_bytes)
      : HostBackend(kv_limit_bytes),
        level_(chosen_cpu_level()),
        pool_(n_threads),
        prefill_scratch_(static_cast<size_t>(n_threads)) {
    limit_vector_instructions(level_);
    info_ = {.name = "cpu", .device = cpu_device_title(n_threads), .unified_memory = true};
  }

  void embed(const DeviceWeight& table, std::span<const TokenId> ids, float scale, Matrix out) override {
    const auto scope = clock_.time(Stage::embed, matrix_bytes(out) + static_cast<double>(table.view().row_bytes()) *
                                                                         static_cast<double>(ids.size()));
    headroom::embed(pool_, table.view(), ids, scale, out);
  }

  void rms_norm(Matrix x, const DeviceWeight& gain, float eps, Matrix out) override {
    const auto scope = clock_.time(Stage::rms_norm, matrix_bytes(x) + matrix_bytes(out) + 4.0 * x.n_cols);
    headroom::rms_norm(pool_, x, host_vector(gain), eps, out);
  }

  void matmul(Matrix x, std::span<const MatmulTerm> terms, MatmulUse use) override {
    double bytes = matrix_bytes(x);
    products_.clear();
    for (const MatmulTerm& term : terms) {
      const TensorView& weight = term.weight->view();
      assert(weight.n_cols == x.n_cols && weight.n_rows == term.y.n_cols && term.y.n_rows == x.n_rows);
      bytes += static_cast<double>(weight.data.size()) + (term.accumulate ? 2 : 1) * matrix_bytes(term.y);
      products_.push_back({.type = weight.type,
                           .weight = weight.data.data(),
                           .n_out = term.y.n_cols,
                           .bias = term.bias != nullptr ? host_vector(*term.bias) : nullptr,
                           .y = host_row(term.y, 0),
                           .y_stride = term.y.stride,
                           .accumulate = term.accumulate});
    }
    const auto scope = clock_.time(stage_of(use), bytes);
    const MatmulInput input{.x = host_row(x, 0), .stride = x.stride, .n_rows = x.n_rows, .n_in = x.n_cols};
    headroom::matmul(pool_, matmul_workspace_, level_, input, products_);
  }

  void rope(Matrix x, int32_t head_dim, int32_t position0, RopeStyle style, int32_t n_rot,
            const DeviceBuffer& frequencies) override {
    const auto scope = clock_.time(Stage::rope, 2 * matrix_bytes(x));
    assert(static_cast<size_t>(n_rot) * sizeof(float) / 2 <= frequencies.size_bytes());
    const auto* radians = reinterpret_cast<const float*>(host_bytes(frequencies));
    headroom::rope(pool_, rope_tables_, x, head_dim, position0, style, {radians, static_cast<size_t>(n_rot / 2)});
  }

  void add(Matrix x, Matrix y) override {
    const auto scope = clock_.time(Stage::add, 3 * matrix_bytes(x));
    headroom::add(pool_, x, y);
  }

  void gated_activation(Activation activation, Matrix gate, Matrix up) override {
    const auto scope = clock_.time(Stage::gated_activation, 3 * matrix_bytes(gate));
    headroom::gated_activation(pool_, activation, gate, up);
  }

  void store_kv(Matrix k, Matrix v, KvScratch kv, int32_t first_row) override {
    const auto scope = clock_.time(Stage::store_kv, 3 * matrix_bytes(k));
    headroom::store_kv(pool_, k, v, kv, first_row);
  }

  void attend_prefill(const AttendPrefill& args) override {
    double held_slots = 0;
    for (const HeadView& head : args.held) held_slots += head.length;
    const double turn_bytes = 4.0 * (args.first_row + args.q.n_rows) * args.kv.row_values;
    const double held_bytes = 2.0 * held_slots * static_cast<double>(slabs_.layout().row_bytes());
    const auto scope = clock_.time(Stage::attend_prefill, 2 * matrix_bytes(args.q) + turn_bytes + held_bytes);
    headroom::attend_prefill(pool_, prefill_scratch_, args, slabs_);
  }

  void add_query_moments(Matrix q, int32_t head_dim, QueryMoments moments) override {
    const auto scope = clock_.time(Stage::add_query_moments, matrix_bytes(q));
    headroom::add_query_moments(pool_, prefill_scratch_, q, head_dim, moments);
  }

  void expected_attention(const ExpectedAttention& args) override {
    const auto scope =
        clock_.time(Stage::expected_attention, 4.0 * args.n_rows * args.kv.row_values + matrix_bytes(args.logits));
    headroom::expected_attention(pool_, prefill_scratch_, args, slabs_);
  }

  void attend_decode(int32_t layer, Matrix q, Matrix k, Matrix v, float scale, Matrix out) override;
  void evict(int32_t layer) override;
  double measure_read_gb_per_s() override { return headroom::measure_read_gb_per_s(pool_); }

 protected:
  void begin_step(const DecodeStep& step) override;
  void quantize_row(const float* from, CacheRow to) override { headroom::quantize_row(from, head_dim(), to); }
  void quantize_row(const uint16_t* from, CacheRow to) override { headroom::quantize_row(from, head_dim(), to); }

 private:
  CpuLevel level_;
  ThreadPool pool_;
  std::vector<Scratch> prefill_scratch_;  // one for each thread
  DecodeScratch decode_scratch_;
  MatmulWorkspace matmul_workspace_;
  std::vector<MatmulProduct> products_;
  RopeTables rope_tables_;
  std::vector<HeadView> layer_heads_;
  std::vector<int32_t> leaving_slots_;
};

// The first step after a prefill gives the prefill's scratch back: while a long answer is written it would lie idle.
void CpuBackend::begin_step(const DecodeStep&) {
  constexpr size_t large_bytes = size_t{1} << 20;
  for (Scratch& scratch : prefill_scratch_) scratch.release();
  if (matmul_workspace_.size_bytes() > large_bytes) matmul_workspace_.release();
}

void CpuBackend::attend_decode(int32_t layer, Matrix q, Matrix k, Matrix v, float scale, Matrix out) {
  assert(q.n_rows == 1 && q.n_cols % k.n_cols == 0 && k.n_cols == step_.n_kv_heads * head_dim());
  double bytes = 2 * matrix_bytes(q);
  layer_heads_.clear();
  for (int32_t kv_head = 0; kv_head < step_.n_kv_heads; ++kv_head) {
    const int32_t head = layer * step_.n_kv_heads + kv_head;
    append_slot(head, host_row(k, 0) + kv_head * head_dim(), host_row(v, 0) + kv_head * head_dim());
    layer_heads_.push_back(step_head(head));
    bytes += static_cast<double>(slabs_.layout().slot_bytes()) * layer_heads_.back().length;
  }
  headroom::attend_decode(pool_, clock_, bytes, decode_scratch_,
                          {.heads = layer_heads_,
                           .group = q.n_cols / k.n_cols,
                           .scale = scale,
                           .q = host_row(q, 0),
                           .out = host_row(out, 0)},
                          slabs_);
}

void CpuBackend::evict(int32_t layer) {
  double bytes = 0;
  for (int32_t kv_head = 0; kv_head < step_.n_kv_heads; ++kv_head)
    bytes += 8.0 * step_head(layer * step_.n_kv_heads + kv_head).length;  // tags and scores
  const auto scope = clock_.time(Stage::evict, bytes);
  for (int32_t kv_head = 0; kv_head < step_.n_kv_heads; ++kv_head) {
    const int32_t head = layer * step_.n_kv_heads + kv_head;
    select_evictions(step_head(head), step_.rules[static_cast<size_t>(head)], slabs_, leaving_slots_);
    for (const int32_t slot : leaving_slots_) remove_slot(head, slot);
  }
}

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options) {
  const int n_threads = options.n_threads > 0 ? options.n_threads : physical_cores();
  return std::make_unique<CpuBackend>(n_threads, options.kv_limit_bytes);
}

std::string cpu_device_title(int n_threads) {
  return std::string(cpu_level_title(chosen_cpu_level())) + ", " + std::to_string(n_threads) +
         (n_threads == 1 ? " thread" : " threads");
}

}  // namespace headroom
