// The kernels of the CPU backend's matrix product, for every weight type and every instruction set of this machine,
// against sums in double precision over the dequantised weights.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "engine/backend/cpu/dequantize.h"
#include "engine/backend/cpu/matmul.h"
#include "engine/backend/cpu/thread_pool.h"
#include "engine/base/error.h"
#include "tests/ops/random_weights.h"

namespace headroom::matmul_kernels_test {
namespace {

using test::random_weights;

/// The types with this many values per block; 1: the float types.
std::vector<TensorType> types_with_blocks_of(int32_t n_values) {
  std::vector<TensorType> types;
  for (const TypeTraits& traits : tensor_types())
    if (traits.block_values == n_values) types.push_back(traits.type);
  return types;
}

constexpr float sentinel = 12345.678f;

std::vector<CpuLevel> levels_of_this_machine() {
  std::vector<CpuLevel> levels;
  for (CpuLevel level : {CpuLevel::portable, CpuLevel::avx2, CpuLevel::avx512, CpuLevel::avx512vnni}) {
    if (level <= best_cpu_level()) levels.push_back(level);
  }
  return levels;
}

/// Ordinary values, with blocks of zeros and blocks that mix 1e4 with 1e-3.
std::vector<float> random_input(int32_t n_rows, int32_t n_in, int64_t stride, std::mt19937& random) {
  std::vector<float> x(static_cast<size_t>(n_rows * stride), std::numeric_limits<float>::quiet_NaN());
  std::normal_distribution<float> normal;
  for (int32_t r = 0; r < n_rows; ++r) {
    for (int32_t first = 0; first < n_in; first += 32) {
      const uint32_t kind = random() % 8;
      for (int32_t i = first; i < std::min(first + 32, n_in); ++i) {
        float value = normal(random);
        if (kind == 0) value = 0;
        if (kind == 1) value *= 1e-3f;
        if (kind == 1 && i == first + 5) value = 1e4f;
        x[static_cast<size_t>(r * stride + i)] = value;
      }
    }
  }
  return x;
}

/// x as the quantised products see it: q * d for each 32 values, d = largest / 32512, where a low byte of q of -128
/// becomes -127; zero where the largest is below 1e-30. error: what a value may have changed by.
void round_to_16_bits(const float* x, int32_t n_in, std::vector<double>& rounded, std::vector<double>& error) {
  rounded.assign(static_cast<size_t>(n_in), 0);
  error.assign(static_cast<size_t>(n_in), 0);
  for (int32_t first = 0; first < n_in; first += 32) {
    float largest = 0;
    for (int32_t i = first; i < first + 32; ++i) largest = std::max(largest, std::abs(x[i]));
    if (largest < 1e-30f) {
      std::fill_n(error.begin() + first, 32, static_cast<double>(largest));
      continue;
    }
    for (int32_t i = first; i < first + 32; ++i) {
      const float d = largest / 32512.0f;
      auto q = static_cast<int32_t>(std::nearbyint(x[i] * (32512.0f / largest)));
      if ((q & 255) == 128) ++q;
      rounded[static_cast<size_t>(i)] = static_cast<double>(d) * q;
      error[static_cast<size_t>(i)] = 1.5001 * d;
    }
  }
}

struct Sizes {
  int32_t n_out, n_in, n_rows;
};

/// One product and its expected result.
struct Case {
  Case(TensorType type_, Sizes sizes_, std::mt19937& random)
      : type(type_),
        sizes(sizes_),
        x_stride(sizes_.n_in + 3),
        y_stride(sizes_.n_out + 5),
        weight(random_weights(type_, sizes_.n_out, sizes_.n_in, random)),
        x(random_input(sizes_.n_rows, sizes_.n_in, x_stride, random)),
        bias(static_cast<size_t>(sizes_.n_out)),
        y_before(static_cast<size_t>(sizes_.n_rows * y_stride), sentinel) {
    std::normal_distribution<float> normal;
    for (float& value : bias) value = normal(random);
    for (int32_t r = 0; r < sizes.n_rows; ++r) {
      for (int32_t o = 0; o < sizes.n_out; ++o) y_before[static_cast<size_t>(r * y_stride + o)] = normal(random);
    }
    compute_expected();
  }

  void compute_expected() {
    const bool is_float = type_traits(type).block_values == 1;
    const size_t n_in = static_cast<size_t>(sizes.n_in);
    std::vector<float> w(n_in);
    std::vector<std::vector<double>> seen(static_cast<size_t>(sizes.n_rows)), error(seen.size());
    for (size_t r = 0; r < seen.size(); ++r) {
      const float* row = x.data() + static_cast<int64_t>(r) * x_stride;
      if (is_float) {
        seen[r].assign(row, row + n_in);
        error[r].assign(n_in, 0);
      } else {
        round_to_16_bits(row, sizes.n_in, seen[r], error[r]);
      }
    }
    const size_t n_results = seen.size() * static_cast<size_t>(sizes.n_out);
    sums.assign(n_results, 0), magnitudes.assign(n_results, 0);
    float_sums.assign(n_results, 0), rounding_errors.assign(n_results, 0);
    for (size_t o = 0; o < static_cast<size_t>(sizes.n_out); ++o) {
      dequantize_row(type, weight.data() + o * row_bytes(type, sizes.n_in), sizes.n_in, w.data());
      for (size_t r = 0; r < seen.size(); ++r) {
        const size_t i = r * static_cast<size_t>(sizes.n_out) + o;
        for (size_t k = 0; k < n_in; ++k) {
          sums[i] += w[k] * seen[r][k];
          magnitudes[i] += std::abs(w[k] * seen[r][k]);
          float_sums[i] += static_cast<double>(w[k]) * x[r * static_cast<size_t>(x_stride) + k];
          rounding_errors[i] += std::abs(w[k]) * error[r][k];
        }
      }
    }
  }

  MatmulInput input() const { return {x.data(), x_stride, sizes.n_rows, sizes.n_in}; }
  MatmulProduct product(std::vector<float>& y, bool with_bias, bool accumulate) const {
    y = y_before;
    return {type, weight.data(), sizes.n_out, with_bias ? bias.data() : nullptr, y.data(), y_stride, accumulate};
  }

  /// The worst deviation, in units of the allowance. Minima and scales of opposite signs cancel, so the allowance is
  /// based on the sum of the terms' magnitudes, with the parts of the format counted separately.
  double worst(const std::vector<float>& y, bool with_bias, bool accumulate) const {
    double worst_ratio = 0;
    for (size_t i = 0; i < sums.size(); ++i) {
      const size_t r = i / static_cast<size_t>(sizes.n_out), o = i % static_cast<size_t>(sizes.n_out);
      const size_t at = r * static_cast<size_t>(y_stride) + o;
      const double added = (with_bias ? bias[o] : 0.0) + (accumulate ? y_before[at] : 0.0);
      const double got = static_cast<double>(y[at]) - added;
      const double allowed = 1e-5 * magnitudes[i] + 1e-6 * (1 + std::abs(added));
      const double ratio = std::abs(got - sums[i]) / allowed;
      const double ratio_to_float = std::abs(got - float_sums[i]) / (allowed + rounding_errors[i]);
      worst_ratio = std::max({worst_ratio, std::isnan(ratio) ? 1e30 : ratio, ratio_to_float});
    }
    return worst_ratio;
  }

  bool sentinels_stand(const std::vector<float>& y) const {
    for (size_t i = 0; i < y.size(); ++i) {
      if (static_cast<int64_t>(i) % y_stride >= sizes.n_out && y[i] != sentinel) return false;
    }
    return true;
  }

  TensorType type;
  Sizes sizes;
  int64_t x_stride, y_stride;
  std::vector<std::byte> weight;
  std::vector<float> x, bias, y_before;
  std::vector<double> sums, magnitudes;             // with the x that the product uses
  std::vector<double> float_sums, rounding_errors;  // with the original x, and the errors that 8 bits may cause
};

void check_on_all_levels(const Case& one) {
  ThreadPool pool(2);
  for (CpuLevel level : levels_of_this_machine()) {
    for (const bool with_bias : {false, true}) {
      for (const bool accumulate : {false, true}) {
        INFO(type_traits(one.type).name << " " << cpu_level_name(level) << " n_out " << one.sizes.n_out << " n_in "
                                        << one.sizes.n_in << " n_rows " << one.sizes.n_rows << " bias " << with_bias
                                        << " accumulate " << accumulate);
        MatmulWorkspace workspace;
        std::vector<float> y;
        const MatmulProduct product = one.product(y, with_bias, accumulate);
        matmul(pool, workspace, level, one.input(), {&product, 1});
        CHECK(one.worst(y, with_bias, accumulate) < 1);
        CHECK(one.sentinels_stand(y));
      }
    }
  }
}

TEST_CASE("float weights: every level, awkward sizes, bias and accumulate") {
  std::mt19937 random(1);
  for (TensorType type : types_with_blocks_of(1)) {
    for (Sizes sizes : {Sizes{1, 1, 1},
                        {1, 32, 1},
                        {3, 5, 2},
                        {17, 33, 3},
                        {33, 48, 7},
                        {575, 64, 8},
                        {31, 100, 9},
                        {3, 1536, 31},
                        {65, 32, 64},
                        {33, 576, 65},
                        {40, 300, 200}}) {
      check_on_all_levels(Case(type, sizes, random));
    }
  }
}

TEST_CASE("formats with blocks of 32: every level, awkward sizes, bias and accumulate") {
  std::mt19937 random(2);
  for (TensorType type : types_with_blocks_of(32)) {
    for (Sizes sizes : {Sizes{1, 32, 1},
                        {3, 64, 2},
                        {17, 96, 3},
                        {33, 576, 7},
                        {575, 64, 8},
                        {31, 160, 9},
                        {3, 1536, 31},
                        {65, 32, 64},
                        {33, 576, 65},
                        {5, 2080, 13},
                        {40, 800, 200}}) {
      check_on_all_levels(Case(type, sizes, random));
    }
  }
}

TEST_CASE("formats with blocks of 256: every level, awkward sizes, bias and accumulate") {
  std::mt19937 random(3);
  for (TensorType type : types_with_blocks_of(256)) {
    for (Sizes sizes : {Sizes{1, 256, 1},
                        {3, 512, 2},
                        {17, 256, 3},
                        {33, 768, 7},
                        {575, 256, 8},
                        {31, 256, 9},
                        {3, 1536, 31},
                        {65, 256, 64},
                        {33, 512, 65},
                        {5, 2304, 13},
                        {40, 1024, 200}}) {
      check_on_all_levels(Case(type, sizes, random));
    }
  }
}

TEST_CASE("several products of one x, of different types, in one call") {
  std::mt19937 random(4);
  for (int32_t n_rows : {1, 4, 33}) {
    const Case a(TensorType::q6_k, {37, 512, n_rows}, random);
    std::vector<Case> cases = {a};
    for (TensorType type : {TensorType::f16, TensorType::q4_1, TensorType::q8_0}) {
      Case other(type, {type == TensorType::q4_1 ? 1 : 70, 512, n_rows}, random);
      other.x = a.x;
      other.compute_expected();
      cases.push_back(other);
    }
    for (CpuLevel level : levels_of_this_machine()) {
      ThreadPool pool(3);
      MatmulWorkspace workspace;
      std::vector<std::vector<float>> y(cases.size());
      std::vector<MatmulProduct> products;
      for (size_t i = 0; i < cases.size(); ++i) products.push_back(cases[i].product(y[i], i == 1, i == 2));
      matmul(pool, workspace, level, a.input(), products);
      for (size_t i = 0; i < cases.size(); ++i) {
        INFO(cpu_level_name(level) << " n_rows " << n_rows << " product " << i);
        CHECK(cases[i].worst(y[i], i == 1, i == 2) < 1);
        CHECK(cases[i].sentinels_stand(y[i]));
      }
    }
  }
}

TEST_CASE("results are the same bits for any number of threads, and a row's do not depend on the others") {
  std::mt19937 random(5);
  for (TensorType type : {TensorType::q4_1, TensorType::q6_k, TensorType::f32}) {
    for (int32_t n_rows : {1, 5, 200}) {
      const Case one(type, {300, 1024, n_rows}, random);
      for (CpuLevel level : levels_of_this_machine()) {
        std::vector<float> first;
        for (int n_threads : {1, 2, 5}) {
          ThreadPool pool(n_threads);
          MatmulWorkspace workspace;
          std::vector<float> y;
          const MatmulProduct product = one.product(y, true, true);
          matmul(pool, workspace, level, one.input(), {&product, 1});
          if (n_threads == 1) first = y;
          INFO(type_traits(type).name << " " << cpu_level_name(level) << " threads " << n_threads);
          CHECK(std::memcmp(first.data(), y.data(), y.size() * sizeof(float)) == 0);
        }
      }
    }
  }
}

TEST_CASE("extreme scales: the largest f16 with the largest weights, and weights that are all zero") {
  std::mt19937 random(6);
  for (int32_t n_rows : {1, 12}) {
    for (TensorType type : {TensorType::q8_0, TensorType::q4_0, TensorType::q5_0}) {
      for (int fill : {0x80, 0x7f, 0xff, 0x00}) {
        Case one(type, {19, 576, n_rows}, random);
        std::fill(one.weight.begin(), one.weight.end(), static_cast<std::byte>(fill));
        for (size_t block = 0; block < one.weight.size(); block += static_cast<size_t>(type_traits(type).block_bytes)) {
          const uint16_t d = fill == 0 ? 0 : 0x7bff;  // 65504
          std::memcpy(one.weight.data() + block, &d, 2);
        }
        // All x of one sign and full size: the sums that would saturate 16 bits.
        for (size_t i = 0; i < one.x.size(); ++i)
          one.x[i] = i / static_cast<size_t>(one.x_stride) % 2 == 0 ? 3.0f : -3.0f;
        one.compute_expected();
        check_on_all_levels(one);
      }
    }
  }
}

TEST_CASE("tiny, subnormal and huge inputs") {
  std::mt19937 random(7);
  for (float scale : {1e-44f, 1e-38f, 1e-29f, 1e30f}) {
    Case one(TensorType::q8_0, {9, 96, 10}, random);
    for (float& value : one.x) value = std::isnan(value) ? value : std::clamp(value, -9.0f, 9.0f) * scale;
    one.compute_expected();
    check_on_all_levels(one);
  }
}

TEST_CASE("a NaN or an infinity in x makes its row's results NaN and no other's") {
  std::mt19937 random(8);
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                    -std::numeric_limits<float>::infinity()}) {
    for (TensorType type : {TensorType::q4_0, TensorType::q4_1, TensorType::q8_0, TensorType::q6_k, TensorType::q4_k}) {
      for (int32_t n_rows : {1, 3, 40}) {
        Case one(type, {21, 512, n_rows}, random);
        const int32_t bad_row = n_rows / 2;
        one.x[static_cast<size_t>(bad_row * one.x_stride + 77)] = bad;
        for (CpuLevel level : levels_of_this_machine()) {
          ThreadPool pool(1);
          MatmulWorkspace workspace;
          std::vector<float> y;
          const MatmulProduct product = one.product(y, false, false);
          matmul(pool, workspace, level, one.input(), {&product, 1});
          bool is_right = true;
          for (int32_t r = 0; r < n_rows; ++r) {
            for (int32_t o = 0; o < 21; ++o) {
              is_right &= std::isnan(y[static_cast<size_t>(r * one.y_stride + o)]) == (r == bad_row);
            }
          }
          INFO(type_traits(type).name << " " << cpu_level_name(level) << " n_rows " << n_rows << " value " << bad);
          CHECK(is_right);
        }
      }
    }
  }
}

TEST_CASE("weights may start at any byte") {
  std::mt19937 random(9);
  for (TensorType type : {TensorType::f32, TensorType::f16, TensorType::bf16, TensorType::q4_1, TensorType::q5_0,
                          TensorType::q5_k, TensorType::q6_k}) {
    for (int32_t n_rows : {1, 20}) {
      const Case one(type, {5, 256, n_rows}, random);
      std::vector<std::byte> shifted(one.weight.size() + 1);
      std::copy(one.weight.begin(), one.weight.end(), shifted.begin() + 1);
      for (CpuLevel level : levels_of_this_machine()) {
        ThreadPool pool(1);
        MatmulWorkspace workspace;
        std::vector<float> y;
        MatmulProduct product = one.product(y, false, false);
        product.weight = shifted.data() + 1;
        matmul(pool, workspace, level, one.input(), {&product, 1});
        INFO(type_traits(type).name << " " << cpu_level_name(level) << " n_rows " << n_rows);
        CHECK(one.worst(y, false, false) < 1);
      }
    }
  }
}

TEST_CASE("a call with no rows writes nothing") {
  std::mt19937 random(10);
  const Case one(TensorType::q4_1, {7, 64, 1}, random);
  ThreadPool pool(1);
  MatmulWorkspace workspace;
  std::vector<float> y;
  const MatmulProduct product = one.product(y, true, false);
  MatmulInput input = one.input();
  input.n_rows = 0;
  matmul(pool, workspace, chosen_cpu_level(), input, {&product, 1});
  CHECK(y == one.y_before);
}

TEST_CASE("the workspace keeps its memory between calls and gives it back on demand") {
  MatmulWorkspace workspace;
  CHECK(workspace.size_bytes() == 0);
  std::byte* memory = workspace.reserve(1000);
  CHECK(reinterpret_cast<uintptr_t>(memory) % 64 == 0);
  CHECK(workspace.size_bytes() >= 1000);
  CHECK(workspace.reserve(10) == memory);
  workspace.release();
  CHECK(workspace.size_bytes() == 0);
  CHECK_THROWS_AS(workspace.reserve(std::numeric_limits<size_t>::max() / 4), Error);
  CHECK(workspace.size_bytes() == 0);
}

/// Sets HEADROOM_CPU for the duration of a test.
class ChosenCpu {
 public:
  explicit ChosenCpu(const char* value) {
    if (const char* old = std::getenv("HEADROOM_CPU")) before_ = old;
    setenv("HEADROOM_CPU", value, 1);
  }
  ~ChosenCpu() {
    if (before_.empty()) {
      unsetenv("HEADROOM_CPU");
    } else {
      setenv("HEADROOM_CPU", before_.c_str(), 1);
    }
  }

 private:
  std::string before_;
};

TEST_CASE("HEADROOM_CPU chooses a level; a wrong name or one that the processor lacks is an error") {
  for (CpuLevel level : levels_of_this_machine()) {
    const ChosenCpu chosen(std::string(cpu_level_name(level)).c_str());
    CHECK(chosen_cpu_level() == level);
  }
  {
    const ChosenCpu chosen("");
    CHECK(chosen_cpu_level() == best_cpu_level());
  }
  {
    const ChosenCpu chosen("avx1024");
    CHECK_THROWS_WITH(chosen_cpu_level(), Catch::Contains("\"avx1024\"") && Catch::Contains("portable, avx2"));
  }
  if (best_cpu_level() < CpuLevel::avx512vnni) {
    const ChosenCpu chosen("avx512vnni");
    CHECK_THROWS_WITH(chosen_cpu_level(), Catch::Contains("at most"));
  }
}

}  // namespace
}  // namespace headroom::matmul_kernels_test
