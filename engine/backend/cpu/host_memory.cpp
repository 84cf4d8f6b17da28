// Host memory as the CPU backends use it: buffers, slabs of KV pages that are mapped and unmapped one by one, the rows
// that are copied between pages, scratch and log, and the stage clock.
#include "engine/backend/cpu/host_memory.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "engine/backend/cpu/half.h"
#include "engine/base/error.h"
#include "engine/base/platform/platform.h"

namespace headroom {
namespace {

constexpr std::align_val_t buffer_alignment{64};

}  // namespace

HostBuffer::HostBuffer(size_t bytes)
    : data_(static_cast<std::byte*>(::operator new(bytes, buffer_alignment, std::nothrow))), size_(bytes) {
  if (data_ == nullptr)
    throw Error(ErrorKind::out_of_memory, "no memory for a buffer of " + std::to_string(bytes) + " bytes");
}

HostBuffer::~HostBuffer() {
  ::operator delete(data_, buffer_alignment);
}

float* Scratch::reserve(size_t count) {
  const size_t bytes = count * sizeof(float);
  if (buffer_ == nullptr || buffer_->size_bytes() < bytes) {
    release();
    buffer_ = std::make_unique<HostBuffer>(bytes);
  }
  return reinterpret_cast<float*>(buffer_->data());
}

Slabs::~Slabs() {
  for (std::byte* slab : slabs_)
    if (slab != nullptr) unmap_memory(slab, slab_bytes);
}

void Slabs::set_layout(PageLayout layout) {
  assert(mapped_bytes_ == 0 && layout.pages_per_slab() > 0 && layout.is_possible());
  layout_ = layout;
  pages_per_slab_ = layout.pages_per_slab();
}

void Slabs::add(int32_t slab) {
  assert(slab >= 0);
  const auto index = static_cast<size_t>(slab);
  if (limit_bytes_ != 0 && mapped_bytes_ + slab_bytes > limit_bytes_)
    throw Error(ErrorKind::out_of_memory, "the KV cache needs more than its limit of " + std::to_string(limit_bytes_) +
                                              " bytes; " + std::to_string(mapped_bytes_) + " are in use");
  if (index >= slabs_.size()) slabs_.resize(index + 1, nullptr);
  assert(slabs_[index] == nullptr);
  slabs_[index] = map_memory(slab_bytes);
  mapped_bytes_ += slab_bytes;
}

void Slabs::remove(int32_t slab) {
  std::byte*& memory = slabs_[static_cast<size_t>(slab)];
  assert(memory != nullptr);
  unmap_memory(memory, slab_bytes);
  memory = nullptr;
  mapped_bytes_ -= slab_bytes;
}

std::vector<StageTime> StageClock::times() const {
  std::vector<StageTime> called;
  for (const StageTime& stage : stages_)
    if (stage.calls > 0) called.push_back(stage);
  return called;
}

void StageClock::reset() {
  for (size_t i = 0; i < stages_.size(); ++i) stages_[i] = StageTime{.name = stage_names[i]};
}

void HostBackend::upload(DeviceBuffer& to, size_t offset_bytes, std::span<const std::byte> from) {
  assert(offset_bytes + from.size() <= to.size_bytes());
  if (!from.empty()) std::memcpy(host_bytes(to) + offset_bytes, from.data(), from.size());
}

void HostBackend::download(std::span<const ReadBack> parts) {
  for (const ReadBack& part : parts) {
    assert(part.offset_bytes + part.to.size() <= part.from->size_bytes());
    if (!part.to.empty()) std::memcpy(part.to.data(), host_bytes(*part.from) + part.offset_bytes, part.to.size());
  }
}

void HostBackend::fill_zero(Matrix x) {
  const size_t bytes = static_cast<size_t>(x.n_cols) * sizeof(float);
  const auto scope = clock_.time(Stage::fill_zero, static_cast<double>(bytes) * x.n_rows);
  for (int32_t row = 0; row < x.n_rows; ++row) std::memset(host_row(x, row), 0, bytes);
}

void HostBackend::begin_query_moments(Matrix shift, int32_t head_dim, QueryMoments moments) {
  const int64_t n_heads = shift.n_cols / head_dim, values = QueryMoments::values(head_dim);
  const auto scope = clock_.time(Stage::add_query_moments, 4.0 * static_cast<double>(n_heads * values));
  auto* to = reinterpret_cast<float*>(host_bytes(*moments.buffer));
  std::memset(to, 0, static_cast<size_t>(n_heads * values) * sizeof(float));
  for (int64_t h = 0; h < n_heads; ++h)
    std::memcpy(to + h * values, host_row(shift, 0) + h * head_dim, static_cast<size_t>(head_dim) * sizeof(float));
}

void HostBackend::copy_page(PageId from, PageId to) {
  const size_t bytes = slabs_.layout().page_bytes();
  const auto scope = clock_.time(Stage::copy_page, 2.0 * static_cast<double>(bytes));
  std::memcpy(slabs_.page_bytes(to), slabs_.page_bytes(from), bytes);
}

void HostBackend::store_scratch_row(const uint16_t* from, CacheRow to) {
  if (to.scales != nullptr)
    quantize_row(from, to);
  else
    std::memcpy(to.values, from, slabs_.layout().row_bytes());
}

void HostBackend::store_new_row(const float* from, CacheRow to) {
  if (to.scales != nullptr)
    quantize_row(from, to);
  else
    for (int32_t i = 0; i < head_dim(); ++i) to.halves()[i] = float_to_half(from[i]);
}

void HostBackend::gather_slots(std::span<const GatherHead> heads) {
  size_t n_slots = 0;
  for (const GatherHead& head : heads) n_slots += head.slots.size();
  const auto scope = clock_.time(
      Stage::gather_slots, 2.0 * static_cast<double>(slabs_.layout().slot_bytes()) * static_cast<double>(n_slots));
  for (const GatherHead& head : heads) gather_head(head);
}

void HostBackend::gather_head(const GatherHead& args) {
  const PageLayout layout = slabs_.layout();
  const size_t row_u16s = layout.slot_row_u16s();
  assert(args.pages.size() == (args.slots.size() + page_tokens - 1) / page_tokens);
  for (size_t i = 0; i < args.slots.size(); ++i) {
    const SlotSource& source = args.slots[i];
    const auto index = static_cast<size_t>(source.index);
    const PageView page = slabs_.page(args.pages[i / page_tokens]);
    const auto slot = static_cast<int32_t>(i % page_tokens);
    const CacheRow k = cache_row(layout, page.k, slot), v = cache_row(layout, page.v, slot);
    switch (source.kind) {
      case SlotSource::Kind::held: {
        assert(source.index < args.from.length);
        const PageView from = slabs_.page(args.from.pages[index / page_tokens]);
        copy_cache_row(layout, cache_row(layout, from.k, source.index % page_tokens), k);
        copy_cache_row(layout, cache_row(layout, from.v, source.index % page_tokens), v);
        break;
      }
      case SlotSource::Kind::scratch: {
        assert(source.index < args.kv.capacity_rows);
        const int64_t first = int64_t{source.index} * args.kv.row_values + args.kv_head * head_dim();
        store_scratch_row(host_scratch_k(args.kv) + first, k);
        store_scratch_row(host_scratch_v(args.kv) + first, v);
        break;
      }
      case SlotSource::Kind::log: {
        assert((index + 1) * row_u16s <= args.log_rows.size());
        const uint16_t* from = args.log_rows.data() + index * row_u16s;
        write_cache_row(layout, from, k);
        write_cache_row(layout, from + row_u16s / 2, v);
        break;
      }
    }
    page.tags[slot] = source.tag;
    page.scores[slot] = source.score;
  }
}

void HostBackend::read_scores(std::span<const HeadView> heads, std::span<float> out) {
  const auto scope = clock_.time(Stage::read_cache, 2.0 * static_cast<double>(out.size_bytes()));
  float* to = out.data();
  for (const HeadView& head : heads)
    for (int32_t slot = 0; slot < head.length; ++slot)
      *to++ = slabs_.page(head.pages[static_cast<size_t>(slot / page_tokens)]).scores[slot % page_tokens];
  assert(to == out.data() + out.size());
}

void HostBackend::read_rows(std::span<const HeadSlots> heads, std::span<uint16_t> out) {
  const PageLayout layout = slabs_.layout();
  const size_t row_u16s = layout.slot_row_u16s();
  const auto scope = clock_.time(Stage::read_cache, 2.0 * static_cast<double>(out.size_bytes()));
  uint16_t* to = out.data();
  for (const HeadSlots& of : heads) {
    for (const int32_t slot : of.slots) {
      assert(slot >= 0 && slot < of.head.length);
      const PageView page = slabs_.page(of.head.pages[static_cast<size_t>(slot / page_tokens)]);
      read_cache_row(layout, cache_row(layout, page.k, slot % page_tokens), to);
      read_cache_row(layout, cache_row(layout, page.v, slot % page_tokens), to + row_u16s / 2);
      to += row_u16s;
    }
  }
  assert(to == out.data() + out.size());
}

std::unique_ptr<StepProgram> HostBackend::make_step(std::function<void()> operations, Matrix result) {
  auto step = std::make_unique<HostStep>();
  step->operations = std::move(operations);
  step->result = result;
  return step;
}

void HostBackend::prepare_step(StepProgram& program, const DecodeStep& step) {
  assert(step.rules.size() == step.heads.size());
  prepared_ = &static_cast<HostStep&>(program);
  step_ = step;
  report_ = {};
  step_lengths_.clear();
  for (const HeadView& head : step.heads) step_lengths_.push_back(head.length);
}

StepReport HostBackend::run_step(std::span<float> result) {
  const HostStep& program = *std::exchange(prepared_, nullptr);
  begin_step(step_);
  program.operations();
  if (program.result.buffer != nullptr) std::copy_n(host_row(program.result, 0), result.size(), result.data());
  step_ = {};
  return std::move(report_);
}

void HostBackend::append_slot(int32_t head, const float* k, const float* v) {
  int32_t& length = step_lengths_[static_cast<size_t>(head)];
  const std::span<const PageId> pages = step_.heads[static_cast<size_t>(head)].pages;
  assert(static_cast<size_t>(length) < pages.size() * page_tokens);
  const PageView page = slabs_.page(pages[static_cast<size_t>(length / page_tokens)]);
  const int32_t slot = length % page_tokens;
  store_new_row(k, cache_row(slabs_.layout(), page.k, slot));
  store_new_row(v, cache_row(slabs_.layout(), page.v, slot));
  page.tags[slot] = make_tag(step_.position, step_.token_class);
  page.scores[slot] = 0;
  ++length;
}

void HostBackend::remove_slot(int32_t head, int32_t slot) {
  int32_t& length = step_lengths_[static_cast<size_t>(head)];
  assert(slot >= 0 && slot < length);
  const std::span<const PageId> pages = step_.heads[static_cast<size_t>(head)].pages;
  const PageLayout layout = slabs_.layout();
  const PageView hole = slabs_.page(pages[static_cast<size_t>(slot / page_tokens)]);
  const int32_t to = slot % page_tokens;
  const CacheRow hole_k = cache_row(layout, hole.k, to), hole_v = cache_row(layout, hole.v, to);

  Eviction eviction{.head = head, .slot = slot, .position = tag_position(hole.tags[to]), .score = hole.scores[to]};
  if (eviction.position < step_.log_before) {
    const size_t row_u16s = layout.slot_row_u16s();
    const size_t first = report_.rows.size();
    eviction.row = static_cast<int64_t>(first / row_u16s);
    report_.rows.resize(first + row_u16s);
    read_cache_row(layout, hole_k, report_.rows.data() + first);
    read_cache_row(layout, hole_v, report_.rows.data() + first + row_u16s / 2);
  }
  report_.evictions.push_back(eviction);

  --length;
  if (slot == length) return;
  const PageView last = slabs_.page(pages[static_cast<size_t>(length / page_tokens)]);
  const int32_t from = length % page_tokens;
  copy_cache_row(layout, cache_row(layout, last.k, from), hole_k);
  copy_cache_row(layout, cache_row(layout, last.v, from), hole_v);
  hole.tags[to] = last.tags[from];
  hole.scores[to] = last.scores[from];
}

}  // namespace headroom
