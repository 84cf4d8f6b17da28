// Rotates the values of Q and K heads by their positions (RoPE). Cosines and sines are made once a range of positions,
// in double: an angle of position * frequency has lost four digits in f32 by position 10,000.
#include "engine/backend/cpu/simd_targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/rope.cpp"
#include "hwy/foreach_target.h"
//
#include <cmath>
#include <cstring>

#include "engine/backend/cpu/operations.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace headroom {
namespace HWY_NAMESPACE {

// Plain loops, which the compiler turns into vector code of each instruction set.
void RotateNeighbours(float* HWY_RESTRICT values, const float* HWY_RESTRICT cos, const float* HWY_RESTRICT sin,
                      int32_t half) {
  for (int32_t i = 0; i < half; ++i) {
    const float a = values[2 * i], b = values[2 * i + 1];
    values[2 * i] = a * cos[i] - b * sin[i];
    values[2 * i + 1] = a * sin[i] + b * cos[i];
  }
}

void RotateHalves(float* HWY_RESTRICT values, const float* HWY_RESTRICT cos, const float* HWY_RESTRICT sin,
                  int32_t half) {
  for (int32_t i = 0; i < half; ++i) {
    const float a = values[i], b = values[i + half];
    values[i] = a * cos[i] - b * sin[i];
    values[i + half] = a * sin[i] + b * cos[i];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace headroom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace headroom {
HWY_EXPORT(RotateNeighbours);
HWY_EXPORT(RotateHalves);

const RopeTables::Table& RopeTables::find(std::span<const float> frequencies, int32_t position0, int32_t n_positions) {
  // A model has one or two sets of frequencies; more come only from a program that makes new ones again and again.
  constexpr size_t max_tables = 4;
  const auto same = [&](const Table& table) {
    return table.frequencies.size() == frequencies.size() &&
           std::memcmp(table.frequencies.data(), frequencies.data(), frequencies.size_bytes()) == 0;
  };
  auto table = std::find_if(tables_.begin(), tables_.end(), same);
  if (table == tables_.end()) {
    if (tables_.size() == max_tables) tables_.erase(tables_.begin());
    table = tables_.insert(tables_.end(), Table{{frequencies.begin(), frequencies.end()}, 0, 0, {}});
  }
  if (position0 >= table->position0 && position0 + n_positions <= table->position0 + table->n_positions) return *table;

  const size_t half = frequencies.size();
  table->position0 = position0;
  table->n_positions = n_positions;
  table->cos_sin.resize(static_cast<size_t>(n_positions) * 2 * half);
  for (int32_t p = 0; p < n_positions; ++p) {
    float* row = table->cos_sin.data() + static_cast<size_t>(p) * 2 * half;
    for (size_t i = 0; i < half; ++i) {
      const double angle = double{frequencies[i]} * (position0 + p);
      row[i] = static_cast<float>(std::cos(angle));
      row[half + i] = static_cast<float>(std::sin(angle));
    }
  }
  return *table;
}

void rope(ThreadPool& pool, RopeTables& tables, const Matrix& x, int32_t head_dim, int32_t position0, RopeStyle style,
          std::span<const float> frequencies) {
  const auto half = static_cast<int32_t>(frequencies.size());
  assert(x.n_cols % head_dim == 0 && 2 * half <= head_dim);
  const RopeTables::Table& table = tables.find(frequencies, position0, x.n_rows);
  pool.parallel_for(x.n_rows, row_chunk(x.n_cols), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const float* cos = table.row(position0 + static_cast<int32_t>(r));
      float* row = host_row(x, r);
      for (int32_t first = 0; first < x.n_cols; first += head_dim) {
        if (style == RopeStyle::interleaved)
          HWY_DYNAMIC_DISPATCH(RotateNeighbours)(row + first, cos, cos + half, half);
        else
          HWY_DYNAMIC_DISPATCH(RotateHalves)(row + first, cos, cos + half, half);
      }
    }
  });
}

}  // namespace headroom
#endif  // HWY_ONCE
