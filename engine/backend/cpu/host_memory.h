// Buffers, weights and KV pages in host memory, and the clock of every stage: what the two backends that compute on the
// CPU share. Knows no operation; the operations address memory through the small views below.
#pragma once

#include <array>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/cpu/cache_row.h"
#include "engine/backend/stages.h"

namespace headroom {

class HostBuffer final : public DeviceBuffer {
 public:
  /// Aligned to 64 bytes. Throws Error(out_of_memory).
  explicit HostBuffer(size_t bytes);
  ~HostBuffer() override;
  HostBuffer(const HostBuffer&) = delete;
  HostBuffer& operator=(const HostBuffer&) = delete;

  size_t size_bytes() const override { return size_; }
  std::byte* data() const { return data_; }

 private:
  std::byte* data_;
  size_t size_;
};

/// Floats that an operation needs while it runs; grown on demand and kept.
class Scratch {
 public:
  /// (count), aligned to 64 bytes, contents undefined; valid until the next call. Throws Error(out_of_memory).
  float* reserve(size_t count);
  void release() { buffer_.reset(); }

 private:
  std::unique_ptr<HostBuffer> buffer_;
};

inline std::byte* host_bytes(const DeviceBuffer& buffer) {
  return static_cast<const HostBuffer&>(buffer).data();
}

/// First value of row `row`; the row's n_cols values follow each other.
inline float* host_row(const Matrix& m, int64_t row) {
  assert(m.buffer != nullptr && row >= 0 && row < m.n_rows && m.stride >= m.n_cols);
  const int64_t first = m.offset + row * m.stride;
  assert(static_cast<size_t>(first + m.n_cols) * sizeof(float) <= m.buffer->size_bytes());
  return reinterpret_cast<float*>(host_bytes(*m.buffer)) + first;
}

/// Values of an F32 vector weight.
inline const float* host_vector(const DeviceWeight& weight) {
  assert(weight.view().type == TensorType::f32);
  return reinterpret_cast<const float*>(weight.view().data.data());
}

/// Where a KvScratch keeps K and V of row 0; from row to row row_values halves.
inline uint16_t* host_scratch_k(const KvScratch& kv) {
  return reinterpret_cast<uint16_t*>(host_bytes(*kv.buffer));
}
inline uint16_t* host_scratch_v(const KvScratch& kv) {
  return host_scratch_k(kv) + int64_t{kv.capacity_rows} * kv.row_values;
}

/// One page as its four parts (page_layout.h).
struct PageView {
  std::byte* k;
  std::byte* v;
  SlotTag* tags;  // (page_tokens)
  float* scores;  // (page_tokens)
};

/// The slabs that are mapped now.
class Slabs {
 public:
  /// No more than limit_bytes are mapped; 0: as much as the system gives.
  explicit Slabs(size_t limit_bytes) : limit_bytes_(limit_bytes) {}
  ~Slabs();
  Slabs(const Slabs&) = delete;
  Slabs& operator=(const Slabs&) = delete;

  void set_layout(PageLayout layout);
  PageLayout layout() const { return layout_; }
  void add(int32_t slab);  // throws Error(out_of_memory); nothing has changed then
  void remove(int32_t slab);

  std::byte* page_bytes(PageId page) const {
    const int32_t slab = page / pages_per_slab_;
    assert(page >= 0 && static_cast<size_t>(slab) < slabs_.size() && slabs_[static_cast<size_t>(slab)] != nullptr);
    return slabs_[static_cast<size_t>(slab)] + static_cast<size_t>(page % pages_per_slab_) * layout_.page_bytes();
  }
  PageView page(PageId id) const {
    std::byte* bytes = page_bytes(id);
    return {bytes + layout_.k_offset(), bytes + layout_.v_offset(),
            reinterpret_cast<SlotTag*>(bytes + layout_.tags_offset()),
            reinterpret_cast<float*>(bytes + layout_.scores_offset())};
  }

 private:
  size_t limit_bytes_;
  size_t mapped_bytes_ = 0;
  PageLayout layout_{0};
  int32_t pages_per_slab_ = 1;
  std::vector<std::byte*> slabs_;  // by number; nullptr where none is mapped
};

class StageClock {
 public:
  /// Adds the time until its end, and the bytes, to one stage.
  class Scope {
   public:
    Scope(StageTime& stage, double bytes) : stage_(stage), start_(std::chrono::steady_clock::now()) {
      stage_.calls += 1;
      stage_.bytes += bytes;
    }
    ~Scope() {
      stage_.ms += std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    StageTime& stage_;
    std::chrono::steady_clock::time_point start_;
  };

  StageClock() { reset(); }
  /// bytes: what the stage has to read and write at least.
  Scope time(Stage stage, double bytes) {
    ++n_calls_;
    return Scope(stages_[static_cast<size_t>(stage)], bytes);
  }
  int64_t n_calls() const { return n_calls_; }  // since the backend was made
  std::vector<StageTime> times() const;         // of the stages that were called
  void reset();

 private:
  std::array<StageTime, static_cast<size_t>(Stage::count)> stages_;
  int64_t n_calls_ = 0;
};

/// The part of a backend that is memory: the same for the fast operations and for the reference.
class HostBackend : public Backend {
 public:
  explicit HostBackend(size_t kv_limit_bytes) : slabs_(kv_limit_bytes) {}

  const BackendInfo& info() const final { return info_; }
  std::unique_ptr<DeviceBuffer> allocate(size_t bytes) final { return std::make_unique<HostBuffer>(bytes); }
  void upload(DeviceBuffer& to, size_t offset_bytes, std::span<const std::byte> from) final;
  void download(std::span<const ReadBack> parts) final;
  std::unique_ptr<DeviceWeight> load_weight(const TensorView& view) final {
    return std::make_unique<DeviceWeight>(view);
  }
  void fill_zero(Matrix x) final;
  void begin_query_moments(Matrix shift, int32_t head_dim, QueryMoments moments) final;

  void set_page_layout(PageLayout layout) final { slabs_.set_layout(layout); }
  void add_slab(int32_t slab) final { slabs_.add(slab); }
  void remove_slab(int32_t slab) final { slabs_.remove(slab); }
  void copy_page(PageId from, PageId to) final;
  void gather_slots(std::span<const GatherHead> heads) final;
  void read_scores(std::span<const HeadView> heads, std::span<float> out) final;
  void read_rows(std::span<const HeadSlots> heads, std::span<uint16_t> out) final;

  std::unique_ptr<StepProgram> make_step(std::function<void()> operations, Matrix result) final;
  void prepare_step(StepProgram& program, const DecodeStep& step) final;
  StepReport run_step(std::span<float> result) final;
  void embed_token(const DeviceWeight& table, float scale, Matrix out) final {
    embed(table, {&step_.token_id, 1}, scale, out);
  }
  void rope_token(Matrix x, int32_t head_dim, RopeStyle style, int32_t n_rot, const DeviceBuffer& frequencies) final {
    rope(x, head_dim, step_.position, style, n_rot, frequencies);
  }

  std::vector<StageTime> stage_times() const final { return clock_.times(); }
  void reset_stage_times() final { clock_.reset(); }
  BackendCounters counters() const final { return {.calls = clock_.n_calls()}; }

 protected:
  int32_t head_dim() const { return slabs_.layout().head_dim; }
  /// A head of the step with the length that it has by now.
  HeadView step_head(int32_t head) const {
    return {step_.heads[static_cast<size_t>(head)].pages, step_lengths_[static_cast<size_t>(head)]};
  }
  /// head_dim values of K or V, f32 or f16, to 8 bits into their place in a page of q8_0.
  virtual void quantize_row(const float* from, CacheRow to) = 0;
  virtual void quantize_row(const uint16_t* from, CacheRow to) = 0;
  /// Before the operations of a step.
  virtual void begin_step(const DecodeStep&) {}
  /// Fills the slot behind a head's last with K and V, rounded to the page's type, and the step's tag; its score is 0.
  void append_slot(int32_t head, const float* k, const float* v);
  /// Reports the eviction of a slot of the step's head and lets the last slot take its place.
  void remove_slot(int32_t head, int32_t slot);

  BackendInfo info_;
  Slabs slabs_;
  StageClock clock_;
  DecodeStep step_;

 private:
  /// On the host a step is a list of calls.
  struct HostStep final : StepProgram {
    std::function<void()> operations;
    Matrix result;
  };

  void gather_head(const GatherHead& args);
  void store_scratch_row(const uint16_t* from, CacheRow to);
  void store_new_row(const float* from, CacheRow to);

  std::vector<int32_t> step_lengths_;  // by head
  StepReport report_;
  HostStep* prepared_ = nullptr;
};

}  // namespace headroom
