// Code that the operation tests share: matrices and KV caches with known contents on any backend, guarded by sentinels,
// and the comparison of a backend with the reference. Gets backends from the registry, by name.
#pragma once

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/cpu/cpu_features.h"
#include "engine/backend/registry.h"
#include "tests/ops/tested_backends.h"

namespace headroom::test {

using Random = std::mt19937;

inline std::unique_ptr<Backend> cpu(int n_threads = 2) {
  return make_backend({.name = "cpu", .n_threads = n_threads});
}
inline std::unique_ptr<Backend> reference() {
  return make_backend({.name = "cpu-reference"});
}

/// Sets HEADROOM_CPU for a scope: backends that are made in it use this instruction set.
class CpuLevelVariable {
 public:
  explicit CpuLevelVariable(CpuLevel level) {
    if (const char* old = std::getenv(name)) old_ = old;
    setenv(name, std::string(cpu_level_name(level)).c_str(), 1);
  }
  ~CpuLevelVariable() {
    if (old_.empty())
      unsetenv(name);
    else
      setenv(name, old_.c_str(), 1);
  }

 private:
  static constexpr const char* name = "HEADROOM_CPU";
  std::string old_;
};

/// The instruction sets that this machine can run.
inline std::vector<CpuLevel> cpu_levels() {
  std::vector<CpuLevel> levels;
  for (const CpuLevel level : {CpuLevel::portable, CpuLevel::avx2, CpuLevel::avx512, CpuLevel::avx512vnni})
    if (level <= best_cpu_level()) levels.push_back(level);
  return levels;
}

/// Rows of floats on the host.
struct Values {
  int32_t n_rows = 0;
  int32_t n_cols = 0;
  std::vector<float> data;  // (n_rows, n_cols), row-major

  float& at(int32_t r, int32_t c) {
    return data[static_cast<size_t>(r) * static_cast<size_t>(n_cols) + static_cast<size_t>(c)];
  }
  float at(int32_t r, int32_t c) const { return const_cast<Values*>(this)->at(r, c); }
};

inline Values zeros(int32_t n_rows, int32_t n_cols) {
  return {n_rows, n_cols, std::vector<float>(static_cast<size_t>(n_rows) * static_cast<size_t>(n_cols))};
}

/// Normal values, a few of them ten times as large: uniform noise hides the effect of a large value on a sum.
inline Values random_values(Random& random, int32_t n_rows, int32_t n_cols, float scale = 1) {
  Values values = zeros(n_rows, n_cols);
  std::normal_distribution<float> normal(0, scale);
  for (float& value : values.data) value = normal(random) * (random() % 31 == 0 ? 10.0f : 1.0f);
  return values;
}

/// Where a matrix lies in its buffer: floats before the first row, and between two rows.
struct Place {
  int32_t first = 7;
  int32_t gap = 5;
};
/// The layout that suits a backend which reads four values at once.
inline constexpr Place aligned{8, 4};

/// A matrix inside a larger buffer: nothing but its values may be written, and its stride is not its width.
class DeviceMatrix {
 public:
  DeviceMatrix(Backend& backend, const Values& values, Place place = {})
      : backend_(backend),
        n_rows_(values.n_rows),
        n_cols_(values.n_cols),
        first_(place.first),
        stride_(values.n_cols + place.gap) {
    std::vector<float> all(
        static_cast<size_t>(first_) + static_cast<size_t>(n_rows_) * static_cast<size_t>(stride_) + 64, sentinel);
    for (int32_t r = 0; r < n_rows_; ++r)
      for (int32_t c = 0; c < n_cols_; ++c) all[index(r, c)] = values.at(r, c);
    buffer_ = backend.allocate(all.size() * sizeof(float));
    backend.upload(*buffer_, 0, std::as_bytes(std::span(all)));
  }

  Matrix matrix() const { return {buffer_.get(), first_, n_rows_, n_cols_, stride_}; }
  operator Matrix() const { return matrix(); }

  /// Fails the test if anything around the values was written.
  Values read() const {
    std::vector<float> all(buffer_->size_bytes() / sizeof(float));
    backend_.download(*buffer_, 0, std::as_writable_bytes(std::span(all)));
    Values values = zeros(n_rows_, n_cols_);
    for (int32_t r = 0; r < n_rows_; ++r)
      for (int32_t c = 0; c < n_cols_; ++c) values.at(r, c) = std::exchange(all[index(r, c)], sentinel);
    for (const float value : all)
      if (value != sentinel) FAIL("the operation wrote outside of its matrix");
    return values;
  }

 private:
  static constexpr float sentinel = 12345.5f;

  size_t index(int32_t r, int32_t c) const { return static_cast<size_t>(first_ + r * stride_ + c); }

  Backend& backend_;
  int32_t n_rows_, n_cols_, first_, stride_;
  std::unique_ptr<DeviceBuffer> buffer_;
};

/// Largest difference, relative to the largest magnitude of `expected` (at least 1e-6).
inline double relative_error(const Values& found, const Values& expected) {
  REQUIRE(found.data.size() == expected.data.size());
  double largest = 1e-6, difference = 0;
  for (size_t i = 0; i < found.data.size(); ++i) {
    if (!(std::abs(found.data[i]) < 1e30f)) return 1e30;  // not a number counts as wrong
    largest = std::max(largest, std::abs(double{expected.data[i]}));
    difference = std::max(difference, std::abs(double{found.data[i]} - expected.data[i]));
  }
  return difference / largest;
}

/// Normalised mean squared error: the sum of squared differences over the sum of squares.
inline double nmse(const Values& found, const Values& expected) {
  REQUIRE(found.data.size() == expected.data.size());
  double squares = 1e-30, differences = 0;
  for (size_t i = 0; i < found.data.size(); ++i) {
    if (!(std::abs(found.data[i]) < 1e30f)) return 1e30;
    const double difference = double{found.data[i]} - expected.data[i];
    squares += double{expected.data[i]} * expected.data[i];
    differences += difference * difference;
  }
  return differences / squares;
}

/// Error bounds for any backend. The second is for products with quantised weights and for attention.
inline constexpr double max_float_nmse = 1e-6, max_coarse_nmse = 5e-4;

/// A backend's largest relative error if the CPU's is below cpu_tolerance. Functions of other devices (exp, division)
/// have fewer digits, and their sums have another order.
inline double tolerance_of(const std::string& backend_name, double cpu_tolerance) {
  return backend_name == "cpu" ? cpu_tolerance : 10 * cpu_tolerance;
}

/// A weight of F32 values that keeps its bytes.
class FloatWeight {
 public:
  FloatWeight(Backend& backend, const Values& values) : values_(values) {
    weight_ = backend.load_weight({.name = "test",
                                   .type = TensorType::f32,
                                   .n_cols = values.n_cols,
                                   .n_rows = values.n_rows,
                                   .data = std::as_bytes(std::span(values_.data))});
  }
  operator const DeviceWeight&() const { return *weight_; }

 private:
  Values values_;
  std::unique_ptr<DeviceWeight> weight_;
};

/// Runs one step with its own program.
template <typename Operations>
StepReport run_step(Backend& backend, const DecodeStep& step, Operations operations) {
  const auto program = backend.make_step(operations, {});
  backend.prepare_step(*program, step);
  return backend.run_step({});
}

/// A slot's contents in a test.
struct Slot {
  int32_t position = 0;
  TokenClass token_class = TokenClass::plain;
  float score = 0;
  bool operator==(const Slot&) const = default;
};

/// Heads of one layer with random K and V, in pages that lie scattered over several slabs.
class TestCache {
 public:
  TestCache(Backend& backend, int32_t head_dim) : TestCache(backend, PageLayout{head_dim}) {}
  TestCache(Backend& backend, PageLayout layout) : backend_(backend), layout_(layout) {
    backend.set_page_layout(layout_);
  }
  ~TestCache() {
    for (int32_t slab = 0; slab < n_slabs_; ++slab) backend_.remove_slab(slab);
  }

  /// Adds a head with these slots and room for one more. kv: (slots, slot_row_u16s()), in f16 K then V
  void add_head(const std::vector<Slot>& slots, const std::vector<uint16_t>& kv) {
    const size_t n_pages = slots.size() / page_tokens + 1;
    std::vector<PageId> pages(n_pages);
    for (PageId& page : pages) page = take_page();
    std::vector<SlotSource> sources;
    for (size_t i = 0; i < slots.size(); ++i)
      sources.push_back({.kind = SlotSource::Kind::log,
                         .index = static_cast<int32_t>(i),
                         .tag = make_tag(slots[i].position, slots[i].token_class),
                         .score = slots[i].score});
    const size_t n_used = (slots.size() + page_tokens - 1) / page_tokens;
    backend_.gather_slots({.kv_head = 0,
                           .from = {},
                           .kv = {},
                           .log_rows = kv,
                           .slots = sources,
                           .pages = std::span(pages).first(n_used)});
    pages_.push_back(std::move(pages));
    lengths_.push_back(static_cast<int32_t>(slots.size()));
  }

  std::vector<HeadView> views() const {
    std::vector<HeadView> heads;
    for (size_t h = 0; h < pages_.size(); ++h) heads.push_back({pages_[h], lengths_[h]});
    return heads;
  }
  void set_length(size_t head, int32_t length) { lengths_[head] = length; }
  std::vector<float> scores(size_t head) const {
    std::vector<float> out(static_cast<size_t>(lengths_[head]));
    backend_.read_scores(views()[head], out);
    return out;
  }
  std::vector<uint16_t> rows(size_t head) const {
    std::vector<int32_t> slots(static_cast<size_t>(lengths_[head]));
    std::iota(slots.begin(), slots.end(), 0);
    std::vector<uint16_t> out(slots.size() * layout_.slot_row_u16s());
    backend_.read_rows(views()[head], slots, out);
    return out;
  }
  /// Allocates pages in an order that jumps between slabs.
  PageId take_page() {
    const int32_t slab = n_taken_ % 3;
    const int32_t index = n_taken_ / 3;
    REQUIRE(index < layout_.pages_per_slab());
    while (slab >= n_slabs_) backend_.add_slab(n_slabs_++);
    ++n_taken_;
    return slab * layout_.pages_per_slab() + layout_.pages_per_slab() - 1 - index;
  }

 private:
  Backend& backend_;
  PageLayout layout_;
  std::vector<std::vector<PageId>> pages_;
  std::vector<int32_t> lengths_;
  int32_t n_slabs_ = 0;
  int32_t n_taken_ = 0;
};

/// n slots at distinct positions below `end`, in scrambled order.
inline std::vector<Slot> random_slots(Random& random, int32_t n, int32_t end) {
  REQUIRE(n <= end);
  std::vector<int32_t> positions(static_cast<size_t>(end));
  std::iota(positions.begin(), positions.end(), 0);
  std::shuffle(positions.begin(), positions.end(), random);
  std::uniform_real_distribution<float> uniform(0, 3);
  std::vector<Slot> slots;
  for (int32_t i = 0; i < n; ++i)
    slots.push_back({positions[static_cast<size_t>(i)], static_cast<TokenClass>(random() % 3), uniform(random)});
  return slots;
}

/// f16 values of magnitude 0.06 to 2, either sign.
inline std::vector<uint16_t> random_halves(Random& random, size_t n) {
  std::vector<uint16_t> halves(n);
  for (uint16_t& half : halves) half = static_cast<uint16_t>((random() & 0x83ffu) | (11 + random() % 5) << 10);
  return halves;
}

/// K and V of some slots, of magnitude up to 2, in the format of this page layout.  (n_slots, slot_row_u16s())
inline std::vector<uint16_t> random_rows(Random& random, PageLayout layout, int32_t n_slots) {
  const auto n = static_cast<size_t>(n_slots);
  if (layout.type == CacheType::f16) return random_halves(random, n * layout.slot_row_u16s());
  const auto n_values = static_cast<size_t>(layout.head_dim);
  std::vector<uint16_t> rows;
  for (size_t part = 0; part < 2 * n; ++part) {
    for (size_t i = 0; i < n_values; i += 2) {
      const auto low = static_cast<uint8_t>(random() % 255 - 127), high = static_cast<uint8_t>(random() % 255 - 127);
      rows.push_back(static_cast<uint16_t>(low | high << 8));
    }
    for (size_t block = 0; block < n_values / 32; ++block)
      rows.push_back(static_cast<uint16_t>((random() & 0x3ffu) | (4 + random() % 5) << 10));
  }
  REQUIRE(rows.size() == n * layout.slot_row_u16s());
  return rows;
}

}  // namespace headroom::test
