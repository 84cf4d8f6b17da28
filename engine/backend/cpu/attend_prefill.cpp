// Causal attention of a block of prompt rows, with the column sums of the profile (FastGen's only input) as a
// by-product. One task is one query head and up to 64 rows: all its scores at once, so that each row's softmax is final
// before the columns are summed (Ge et al. 2024, Algorithm 1). Everything is kept transposed, rows across the vector's
// lanes: the softmax then needs no sum across lanes, and K and V are read as they lie.
#include "engine/backend/cpu/simd_targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/attend_prefill.cpp"
#include "hwy/foreach_target.h"
//
#include <array>
#include <atomic>
#include <utility>

#include "engine/backend/cpu/operations.h"
#include "engine/backend/cpu/vector_math-inl.h"
#include "hwy/cache_control.h"

#ifndef HEADROOM_ATTEND_PREFILL_TYPES
#define HEADROOM_ATTEND_PREFILL_TYPES
namespace headroom {

constexpr int32_t tile_rows = 64;     // query rows of a task; stride of everything transposed
constexpr int32_t tile_columns = 64;  // of K or V in f32 at a time: small enough for the first-level cache
constexpr int32_t score_steps = 128;  // values of head_dim at a time, so that q stays there too

/// A slot of an earlier turn that some row of the block sees.
struct HeldColumn {
  CacheRow k;
  CacheRow v;
  int32_t position;
  int32_t slot;
};

/// One task. Its columns are the held ones, then turn rows turn_begin … turn_begin + n_turn - 1.
struct PrefillTile {
  int32_t n_rows;  // at most tile_rows
  int32_t head_dim;
  int32_t position;  // of row 0
  float scale;       // of q . k, times log2(e)
  int32_t window;
  int32_t n_win;
  std::array<int32_t, max_win_sums> win_tokens;
  int32_t recent_row;  // first row of the tile that `recent` sums; n_rows or more: none
  const float* q;      // (n_rows, head_dim)
  int64_t q_stride;
  float* out;  // (n_rows, head_dim)
  int64_t out_stride;
  std::span<const HeldColumn> held;
  uint16_t* turn_k;       // (n_turn, head_dim), f16
  uint16_t* turn_v;       // (n_turn, head_dim), f16
  int64_t turn_stride;    // of both
  int32_t turn_position;  // of turn row turn_begin
  int32_t n_turn;
  bool statistics;
  // Scratch and results.
  float* scores;       // (n_columns, tile_rows): scores, then 2^(score - max)
  float* q_columns;    // (head_dim, tile_rows): q transposed, times scale
  float* out_columns;  // (head_dim, tile_rows): out transposed, before the division by the sum
  float* kv;           // (tile_columns, head_dim): K or V of some columns, in f32
  int64_t kv_stride;
  float* max;  // (tile_rows)
  float* sum;  // (tile_rows); then its inverse, 0 for rows behind n_rows
  float* col;  // (n_columns rounded up to 4): column sums of this tile
  float* win;  // (n_win, sum_stride): the same, of rows with position - column position < win_tokens[w]
  int64_t sum_stride;
  float* recent;          // (n_columns rounded up to 4): the same, of rows from recent_row on
  float* recent_factors;  // (tile_rows): sum, but 0 for rows before recent_row

  int32_t n_held() const { return static_cast<int32_t>(held.size()); }
  int32_t n_columns() const { return n_held() + n_turn; }
  int32_t column_position(int32_t c) const {
    return c < n_held() ? held[static_cast<size_t>(c)].position : turn_position + (c - n_held());
  }
};

}  // namespace headroom
#endif  // HEADROOM_ATTEND_PREFILL_TYPES

HWY_BEFORE_NAMESPACE();
namespace headroom {
namespace HWY_NAMESPACE {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// Vectors of rows and of results that a step of the product holds in registers: 4 * 6 sums, 4 rows and a factor of
// 32 registers; 2 * 6 of 16.
constexpr int max_row_vectors = HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SCALAR ? 2 : 4;
constexpr int max_results = 6;

/// y[j][rows] (+)= sum over k of a[j * a_result + k * a_step] * x[k][rows], for n_results rows of y and n_vectors of
/// rows.
template <int n_results, int n_vectors>
HWY_INLINE void MultiplyBlock(const float* HWY_RESTRICT a, int64_t a_result, int64_t a_step,
                              const float* HWY_RESTRICT x, int32_t n_steps, bool accumulate, float* HWY_RESTRICT y) {
  const D d;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  V sums[n_results][n_vectors];
  for (int j = 0; j < n_results; ++j)
    for (int r = 0; r < n_vectors; ++r)
      sums[j][r] = accumulate ? hn::Load(d, y + j * tile_rows + r * lanes) : hn::Zero(d);
  for (int32_t k = 0; k < n_steps; ++k) {
    V rows[n_vectors];
    for (int r = 0; r < n_vectors; ++r) rows[r] = hn::Load(d, x + r * lanes);
    for (int j = 0; j < n_results; ++j) {
      const V factor = hn::Set(d, a[j * a_result]);
      for (int r = 0; r < n_vectors; ++r) sums[j][r] = hn::MulAdd(factor, rows[r], sums[j][r]);
    }
    a += a_step;
    x += tile_rows;
  }
  for (int j = 0; j < n_results; ++j)
    for (int r = 0; r < n_vectors; ++r) hn::Store(sums[j][r], d, y + j * tile_rows + r * lanes);
}

template <int n_vectors>
HWY_INLINE void MultiplyRows(const float* a, int64_t a_result, int64_t a_step, const float* x, int32_t n_steps,
                             bool accumulate, int32_t n_results, float* y) {
  int32_t j = 0;
  for (; j + max_results <= n_results; j += max_results)
    MultiplyBlock<max_results, n_vectors>(a + j * a_result, a_result, a_step, x, n_steps, accumulate,
                                          y + j * tile_rows);
  for (; j + 2 <= n_results; j += 2)
    MultiplyBlock<2, n_vectors>(a + j * a_result, a_result, a_step, x, n_steps, accumulate, y + j * tile_rows);
  if (j < n_results)
    MultiplyBlock<1, n_vectors>(a + j * a_result, a_result, a_step, x, n_steps, accumulate, y + j * tile_rows);
}

/// The product above for all n_results rows of y and the first n_vectors vectors of rows.
void Multiply(const float* a, int64_t a_result, int64_t a_step, const float* x, int32_t n_steps, bool accumulate,
              int32_t n_results, int32_t n_vectors, float* y) {
  const auto lanes = static_cast<int32_t>(hn::Lanes(D()));
  for (int32_t r = 0; r < n_vectors; r += max_row_vectors) {
    const float* x_part = x + r * lanes;
    float* y_part = y + r * lanes;
    switch (HWY_MIN(n_vectors - r, max_row_vectors)) {
      case 1:
        MultiplyRows<1>(a, a_result, a_step, x_part, n_steps, accumulate, n_results, y_part);
        break;
      case 2:
        MultiplyRows<2>(a, a_result, a_step, x_part, n_steps, accumulate, n_results, y_part);
        break;
#if HWY_TARGET != HWY_AVX2 && HWY_TARGET != HWY_SCALAR
      case 3:
        MultiplyRows<3>(a, a_result, a_step, x_part, n_steps, accumulate, n_results, y_part);
        break;
      case 4:
        MultiplyRows<4>(a, a_result, a_step, x_part, n_steps, accumulate, n_results, y_part);
        break;
#endif
      default:
        break;
    }
  }
}

enum class Half { k, v };

HWY_INLINE CacheRow ColumnRow(const PrefillTile& tile, Half half, int32_t c) {
  if (c < tile.n_held())
    return half == Half::k ? tile.held[static_cast<size_t>(c)].k : tile.held[static_cast<size_t>(c)].v;
  return half_row((half == Half::k ? tile.turn_k : tile.turn_v) + (c - tile.n_held()) * tile.turn_stride);
}

/// Columns first … as f32. Asks for the columns after them, which the product leaves time to fetch.
HWY_INLINE void LoadColumns(const PrefillTile& tile, Half half, int32_t first, int32_t count) {
  constexpr int32_t line_bytes = 64;
  for (int32_t i = 0; i < count; ++i)
    RowToFloats(ColumnRow(tile, half, first + i), tile.head_dim, tile.kv + i * tile.kv_stride);
  const int32_t next_end = HWY_MIN(first + 2 * tile_columns, tile.n_columns());
  for (int32_t c = first + tile_columns; c < next_end; ++c) {
    const CacheRow row = ColumnRow(tile, half, c);
    const int32_t row_bytes = row.scales == nullptr ? 2 * tile.head_dim : tile.head_dim;
    for (int32_t k = 0; k < row_bytes; k += line_bytes) hwy::Prefetch(row.values + k);
  }
}

/// Takes the rows that do not see a column out of the softmax: rows above the diagonal, rows that the window has left.
HWY_INLINE void MaskColumns(const PrefillTile& tile, int32_t first, int32_t count) {
  // Positions of held columns are below every row's, those of turn columns ascend.
  const bool below_diagonal = tile.column_position(first + count - 1) <= tile.position;
  if (below_diagonal && tile.window == 0) return;
  for (int32_t c = first; c < first + count; ++c) {
    const int32_t distance = tile.position - tile.column_position(c);  // of row 0
    float* scores = tile.scores + int64_t{c} * tile_rows;
    for (int32_t i = 0; i < HWY_MIN(-distance, tile.n_rows); ++i) scores[i] = -3e38f;
    if (tile.window == 0) continue;
    for (int32_t i = HWY_MAX(tile.window - distance, 0); i < tile.n_rows; ++i) scores[i] = -3e38f;
  }
}

#if HWY_TARGET != HWY_SCALAR && !HWY_HAVE_SCALABLE
/// Stores each block of 4 floats of v, the next one `stride` floats after it.
template <class D4>
HWY_INLINE void StoreBlocks(D4 d, hn::Vec<D4> v, float* to, int64_t stride) {
  if constexpr (hn::MaxLanes(D4()) == 4) {
    hn::StoreU(v, d, to);
  } else {
    const hn::Half<D4> half;
    StoreBlocks(half, hn::LowerHalf(half, v), to, stride);
    StoreBlocks(half, hn::UpperHalf(half, v), to + static_cast<int64_t>(hn::MaxLanes(half)) / 4 * stride, stride);
  }
}
#endif

/// to[c][r] = from[r][c] * factors[c * factor_step]
HWY_INLINE void Transpose(const float* HWY_RESTRICT from, int64_t from_stride, int32_t n_rows, int32_t n_cols,
                          const float* HWY_RESTRICT factors, int32_t factor_step, float* HWY_RESTRICT to,
                          int64_t to_stride) {
  int32_t r = 0;
#if HWY_TARGET != HWY_SCALAR && !HWY_HAVE_SCALABLE
  const D d;
  const hn::Repartition<uint64_t, D> d64;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  const auto pair_rows = [&](V a, V b, V* low, V* high) HWY_ATTR {
    *low = hn::InterleaveLower(d, a, b);
    *high = hn::InterleaveUpper(d, a, b);
  };
  for (; r + 4 <= n_rows; r += 4) {
    int32_t c = 0;
    for (; c + lanes <= n_cols; c += lanes) {
      const V factor = factor_step == 0 ? hn::Set(d, factors[0]) : hn::LoadU(d, factors + c);
      V rows[4], low01, high01, low23, high23;
      for (int i = 0; i < 4; ++i) rows[i] = hn::Mul(hn::LoadU(d, from + (r + i) * from_stride + c), factor);
      pair_rows(rows[0], rows[1], &low01, &high01);
      pair_rows(rows[2], rows[3], &low23, &high23);
      const auto merge = [&](V first, V second, bool upper) HWY_ATTR {
        const auto a = hn::BitCast(d64, first), b = hn::BitCast(d64, second);
        return hn::BitCast(d, upper ? hn::InterleaveUpper(d64, a, b) : hn::InterleaveLower(d64, a, b));
      };
      StoreBlocks(d, merge(low01, low23, false), to + c * to_stride + r, 4 * to_stride);
      StoreBlocks(d, merge(low01, low23, true), to + (c + 1) * to_stride + r, 4 * to_stride);
      StoreBlocks(d, merge(high01, high23, false), to + (c + 2) * to_stride + r, 4 * to_stride);
      StoreBlocks(d, merge(high01, high23, true), to + (c + 3) * to_stride + r, 4 * to_stride);
    }
    for (; c < n_cols; ++c)
      for (int32_t i = r; i < r + 4; ++i) to[c * to_stride + i] = from[i * from_stride + c] * factors[c * factor_step];
  }
#endif
  for (; r < n_rows; ++r)
    for (int32_t c = 0; c < n_cols; ++c) to[c * to_stride + r] = from[r * from_stride + c] * factors[c * factor_step];
}

HWY_INLINE void ScoreColumns(const PrefillTile& tile, int32_t n_vectors) {
  const D d;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  for (int32_t r = 0; r < tile_rows; ++r) tile.max[r] = -3e38f;
  for (int32_t first = 0; first < tile.n_columns(); first += tile_columns) {
    const int32_t count = HWY_MIN(tile_columns, tile.n_columns() - first);
    float* scores = tile.scores + int64_t{first} * tile_rows;
    LoadColumns(tile, Half::k, first, count);
    for (int32_t k = 0; k < tile.head_dim; k += score_steps)
      Multiply(tile.kv + k, tile.kv_stride, 1, tile.q_columns + k * tile_rows, HWY_MIN(score_steps, tile.head_dim - k),
               k > 0, count, n_vectors, scores);
    MaskColumns(tile, first, count);
    for (int32_t r = 0; r < n_vectors; ++r) {
      V largest0 = hn::Load(d, tile.max + r * lanes), largest1 = largest0;
      const float* column = scores + r * lanes;
      int32_t c = 0;
      for (; c + 2 <= count; c += 2, column += 2 * tile_rows) {
        largest0 = hn::Max(largest0, hn::Load(d, column));
        largest1 = hn::Max(largest1, hn::Load(d, column + tile_rows));
      }
      if (c < count) largest0 = hn::Max(largest0, hn::Load(d, column));
      hn::Store(hn::Max(largest0, largest1), d, tile.max + r * lanes);
    }
  }
}

HWY_INLINE void MixColumns(const PrefillTile& tile, int32_t n_vectors) {
  const D d;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  for (int32_t r = 0; r < tile_rows; ++r) tile.sum[r] = 0;
  for (int32_t first = 0; first < tile.n_columns(); first += tile_columns) {
    const int32_t count = HWY_MIN(tile_columns, tile.n_columns() - first);
    float* scores = tile.scores + int64_t{first} * tile_rows;
    for (int32_t r = 0; r < n_vectors; ++r) {
      const V largest = hn::Load(d, tile.max + r * lanes);
      V sum = hn::Zero(d);  // of few columns, so that long rows lose no digits
      float* column = scores + r * lanes;
      for (int32_t c = 0; c < count; ++c, column += tile_rows) {
        const V probability = Exp2(d, hn::Sub(hn::Load(d, column), largest));
        sum = hn::Add(sum, probability);
        hn::Store(probability, d, column);
      }
      hn::Store(hn::Add(sum, hn::Load(d, tile.sum + r * lanes)), d, tile.sum + r * lanes);
    }
    LoadColumns(tile, Half::v, first, count);
    Multiply(tile.kv, 1, tile.kv_stride, scores, count, first > 0, tile.head_dim, n_vectors, tile.out_columns);
  }
}

/// Sums of four columns over the rows of the first n_vectors vectors, each times its row's factor, to four neighbouring
/// floats. The vectors behind them hold whatever the scratch held before, even NaN: no factor makes that harmless.
HWY_INLINE void SumFourColumns(const float* HWY_RESTRICT columns, const float* HWY_RESTRICT factors, int32_t n_vectors,
                               float* to) {
  const D d;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  V sums[4];
  for (int j = 0; j < 4; ++j) sums[j] = hn::Zero(d);
  for (int32_t r = 0; r < n_vectors; ++r) {
    const V factor = hn::Load(d, factors + r * lanes);
    for (int j = 0; j < 4; ++j) sums[j] = hn::MulAdd(hn::Load(d, columns + j * tile_rows + r * lanes), factor, sums[j]);
  }
  StoreFourSums(d, sums[0], sums[1], sums[2], sums[3], to);
}

/// win of columns first … last and one window, where col is known already.
HWY_INLINE void SumNearRows(const PrefillTile& tile, int32_t w, int32_t first, int32_t last) {
  const D d;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  float* win = tile.win + w * tile.sum_stride;
  const auto near_rows = [&](int32_t c) {  // the first rows of the tile are near to a column
    return HWY_MAX(
        0, HWY_MIN(tile.win_tokens[static_cast<size_t>(w)] + tile.column_position(c) - tile.position, tile.n_rows));
  };
  if (first >= tile.n_held()) {
    // Positions ascend here, so that the ends decide for all four.
    const bool all_near = near_rows(first) == tile.n_rows, none_near = near_rows(last) == 0;
    if (all_near || none_near) {
      for (int32_t c = first; c <= last; ++c) win[c] = all_near ? tile.col[c] : 0;
      return;
    }
  }
  for (int32_t c = first; c <= last; ++c) {
    const int32_t n_near = near_rows(c);
    V sum = hn::Zero(d);
    for (int32_t r = 0; r * lanes < n_near; ++r) {
      const auto is_near = hn::FirstN(d, static_cast<size_t>(HWY_MIN(n_near - r * lanes, lanes)));
      const V factor = hn::IfThenElseZero(is_near, hn::Load(d, tile.sum + r * lanes));
      sum = hn::MulAdd(hn::Load(d, tile.scores + int64_t{c} * tile_rows + r * lanes), factor, sum);
    }
    win[c] = hn::GetLane(hn::SumOfLanes(d, sum));
  }
}

/// The sums of this tile, from the probabilities that are now final. Behind the last column up to three more are
/// summed, of whatever the scratch holds there.
HWY_INLINE void SumColumns(const PrefillTile& tile, int32_t n_vectors) {
  const bool has_recent = tile.recent_row < tile.n_rows;
  for (int32_t i = 0; i < tile_rows; ++i) tile.recent_factors[i] = i < tile.recent_row ? 0 : tile.sum[i];
  for (int32_t first = 0; first < tile.n_columns(); first += 4) {
    const int32_t last = HWY_MIN(first + 3, tile.n_columns() - 1);
    const float* columns = tile.scores + int64_t{first} * tile_rows;
    SumFourColumns(columns, tile.sum, n_vectors, tile.col + first);
    for (int32_t w = 0; w < tile.n_win; ++w) SumNearRows(tile, w, first, last);
    if (has_recent) SumFourColumns(columns, tile.recent_factors, n_vectors, tile.recent + first);
  }
}

void AttendTile(const PrefillTile& tile) {
  const auto lanes = static_cast<int32_t>(hn::Lanes(D()));
  const int32_t n_vectors = (tile.n_rows + lanes - 1) / lanes;
  // q transposed
  Transpose(tile.q, tile.q_stride, tile.n_rows, tile.head_dim, &tile.scale, 0, tile.q_columns, tile_rows);
  for (int32_t k = 0; k < tile.head_dim; ++k)
    for (int32_t i = tile.n_rows; i < n_vectors * lanes; ++i) tile.q_columns[k * tile_rows + i] = 0;
  // scores
  ScoreColumns(tile, n_vectors);
  // softmax and mix of V
  MixColumns(tile, n_vectors);
  for (int32_t i = 0; i < tile_rows; ++i) tile.sum[i] = i < tile.n_rows ? 1 / tile.sum[i] : 0;
  // out
  Transpose(tile.out_columns, tile_rows, tile.head_dim, tile.n_rows, tile.sum, 1, tile.out, tile.out_stride);
  // column sums
  if (tile.statistics) SumColumns(tile, n_vectors);
}

}  // namespace HWY_NAMESPACE
}  // namespace headroom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace headroom {
HWY_EXPORT(AttendTile);

namespace {

/// The held slots that some row of the block sees, for each KV head.
std::vector<std::vector<HeldColumn>> find_held_columns(const AttendPrefill& args, const Slabs& slabs) {
  std::vector<std::vector<HeldColumn>> heads(static_cast<size_t>(args.kv.row_values / args.head_dim));
  const int32_t position = args.position0 + args.first_row;
  for (size_t h = 0; h < args.held.size(); ++h) {
    for (int32_t s = 0; s < args.held[h].length; ++s) {
      const PageView page = slabs.page(args.held[h].pages[static_cast<size_t>(s / page_tokens)]);
      const int32_t at = s % page_tokens;
      const int32_t column_position = tag_position(page.tags[at]);
      if (args.window != 0 && position - column_position >= args.window) continue;
      heads[h].push_back(
          {cache_row(slabs.layout(), page.k, at), cache_row(slabs.layout(), page.v, at), column_position, s});
    }
  }
  return heads;
}

/// Lets the tasks of one query head add their column sums in the order in which they were handed out, so that the sums
/// do not depend on the threads' timing. A task waits only for tasks that started before it.
class OrderedCommit {
 public:
  explicit OrderedCommit(size_t n_heads) : next_(n_heads) {}

  template <class F>
  void run(size_t head, int32_t turn, F add) {
    std::atomic<int32_t>& next = next_[head];
    for (int32_t now = next.load(std::memory_order_acquire); now != turn; now = next.load(std::memory_order_acquire))
      next.wait(now, std::memory_order_acquire);
    add();
    next.store(turn + 1, std::memory_order_release);
    next.notify_all();
  }

 private:
  std::vector<std::atomic<int32_t>> next_;
};

void add_column_sums(const AttendPrefill& args, const PrefillTile& tile, int32_t q_head, int32_t n_heads,
                     int32_t turn_begin) {
  const auto add = [&](const Matrix& to, int32_t to_row, const float* sums) {
    if (to.buffer == nullptr) return;
    float* row = host_row(to, to_row);
    for (size_t i = 0; i < tile.held.size(); ++i) row[tile.held[i].slot] += sums[i];
    float* turn = row + args.n_held_columns + turn_begin;
    for (int32_t i = 0; i < tile.n_turn; ++i) turn[i] += sums[tile.n_held() + i];
  };
  add(args.attention_mass, q_head, tile.col);
  for (int32_t w = 0; w < tile.n_win; ++w)
    add(args.windowed_mass, w * n_heads + q_head, tile.win + w * tile.sum_stride);
  if (tile.recent_row < tile.n_rows) add(args.recent_mass, q_head, tile.recent);
}

size_t round_up(size_t count, size_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

/// Rows of K or V in f32: an odd number of cache lines apart, so that a column of them does not fall into few cache
/// sets.
size_t kv_stride_of(size_t head_dim) {
  return round_up(head_dim, 32) + 16;
}

/// Floats of scratch for a tile of up to n_columns.
size_t tile_floats(size_t n_columns, size_t head_dim) {
  return n_columns * tile_rows + 2 * head_dim * tile_rows + tile_columns * kv_stride_of(head_dim) + 3 * tile_rows +
         (2 + max_win_sums) * round_up(n_columns, 16);
}

}  // namespace

void attend_prefill(ThreadPool& pool, std::span<Scratch> scratch, const AttendPrefill& args, const Slabs& slabs) {
  const int32_t head_dim = args.head_dim;
  const int32_t n_heads = args.q.n_cols / head_dim;
  const int32_t group = n_heads / (args.kv.row_values / head_dim);
  const int32_t n_row_tiles = (args.q.n_rows + tile_rows - 1) / tile_rows;
  assert(args.first_row + args.q.n_rows <= args.kv.capacity_rows);

  const std::vector<std::vector<HeldColumn>> held = find_held_columns(args, slabs);
  size_t n_held = 0;
  for (const std::vector<HeldColumn>& columns : held) n_held = std::max(n_held, columns.size());
  const size_t max_columns = n_held + static_cast<size_t>(args.first_row + args.q.n_rows);
  for (Scratch& thread_scratch : scratch)
    thread_scratch.reserve(tile_floats(max_columns, static_cast<size_t>(head_dim)));

  OrderedCommit commit(static_cast<size_t>(n_heads));
  const auto attend = [&](int64_t task, float* free) {
    const auto take = [&](size_t count) { return std::exchange(free, free + count); };
    const auto q_head = static_cast<int32_t>(task % n_heads);
    const auto turn = static_cast<int32_t>(task / n_heads);
    // The last rows first: they have the most columns.
    const int32_t r0 = (n_row_tiles - 1 - turn) * tile_rows;
    const int32_t n_rows = std::min(tile_rows, args.q.n_rows - r0);
    const int32_t turn_row = args.first_row + r0;
    const int32_t turn_begin = args.window == 0 ? 0 : std::max(0, turn_row - args.window + 1);
    const int32_t n_turn = turn_row + n_rows - turn_begin;
    const int32_t kv_head = q_head / group;
    const std::vector<HeldColumn>& columns = held[static_cast<size_t>(kv_head)];
    const size_t n_columns = columns.size() + static_cast<size_t>(n_turn);
    const int64_t kv_first = int64_t{turn_begin} * args.kv.row_values + kv_head * head_dim;
    const auto row_values = static_cast<size_t>(head_dim);
    const PrefillTile tile{.n_rows = n_rows,
                           .head_dim = head_dim,
                           .position = args.position0 + turn_row,
                           .scale = args.scale * log2_e,
                           .window = args.window,
                           .n_win = args.windowed_mass.buffer != nullptr ? args.n_win : 0,
                           .win_tokens = args.win_tokens,
                           .recent_row = args.recent_mass.buffer != nullptr ? args.recent_from - turn_row : tile_rows,
                           .q = host_row(args.q, r0) + q_head * head_dim,
                           .q_stride = args.q.stride,
                           .out = host_row(args.out, r0) + q_head * head_dim,
                           .out_stride = args.out.stride,
                           .held = columns,
                           .turn_k = host_scratch_k(args.kv) + kv_first,
                           .turn_v = host_scratch_v(args.kv) + kv_first,
                           .turn_stride = args.kv.row_values,
                           .turn_position = args.position0 + turn_begin,
                           .n_turn = n_turn,
                           .statistics = args.attention_mass.buffer != nullptr ||
                                         args.windowed_mass.buffer != nullptr ||
                                         (args.recent_mass.buffer != nullptr && args.recent_from < turn_row + n_rows),
                           .scores = take(n_columns * tile_rows),
                           .q_columns = take(row_values * tile_rows),
                           .out_columns = take(row_values * tile_rows),
                           .kv = take(tile_columns * kv_stride_of(row_values)),
                           .kv_stride = static_cast<int64_t>(kv_stride_of(row_values)),
                           .max = take(tile_rows),
                           .sum = take(tile_rows),
                           .col = take(round_up(n_columns, 16)),
                           .win = take(max_win_sums * round_up(n_columns, 16)),
                           .sum_stride = static_cast<int64_t>(round_up(n_columns, 16)),
                           .recent = take(round_up(n_columns, 16)),
                           .recent_factors = take(tile_rows)};
    HWY_DYNAMIC_DISPATCH(AttendTile)(tile);
    if (!tile.statistics) return;
    commit.run(static_cast<size_t>(q_head), turn, [&] { add_column_sums(args, tile, q_head, n_heads, turn_begin); });
  };
  pool.parallel_for(int64_t{n_row_tiles} * n_heads, 1, [&](int64_t begin, int64_t end, int thread) {
    Scratch& thread_scratch = scratch[static_cast<size_t>(thread)];
    for (int64_t task = begin; task < end; ++task) attend(task, thread_scratch.reserve(0));
  });
}

}  // namespace headroom
#endif  // HWY_ONCE
