// Keys and the moments of the queries to come ─► the attention that each column can expect (before the softmax), and
// the norms of the values. One task is some columns of one KV head: its keys become f32 once and serve all query heads
// of the group.
#include "engine/backend/cpu/simd_targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/expected_attention.cpp"
#include "hwy/foreach_target.h"
//
#include <algorithm>
#include <cmath>

#include "engine/backend/cpu/operations.h"
#include "engine/backend/cpu/small_product-inl.h"

#ifndef HEADROOM_EXPECTED_ATTENTION_TYPES
#define HEADROOM_EXPECTED_ATTENTION_TYPES
namespace headroom {

constexpr int32_t expected_columns = 64;  // of a task

struct KeyValue {
  CacheRow k;
  CacheRow v;
};

struct ExpectedTask {
  const KeyValue* columns;  // (n_columns)
  int32_t n_columns;        // at most expected_columns
  int32_t head_dim;
  int32_t group;
  const float* linear;     // (group, width), zeros behind head_dim
  const float* quadratic;  // (group, head_dim, width), zeros behind head_dim
  float* keys;             // scratch: (expected_columns, width)
  float* products;         // scratch: (expected_columns, width)
  float* logits;           // row of the first query head at the first column
  int64_t logits_stride;
  float* norms;
};

}  // namespace headroom
#endif  // HEADROOM_EXPECTED_ATTENTION_TYPES

HWY_BEFORE_NAMESPACE();
namespace headroom {
namespace HWY_NAMESPACE {

HWY_INLINE float Dot(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, int32_t width) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  for (int32_t i = 0; i < width; i += lanes) sum = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum);
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

void ExpectColumns(const ExpectedTask& task) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  const int32_t width = padded_width(task.head_dim);
  for (int32_t c = 0; c < task.n_columns; ++c) {
    float* row = task.keys + int64_t{c} * width;
    for (int32_t i = task.head_dim; i < width; ++i) row[i] = 0;
    RowToFloats(task.columns[c].v, task.head_dim, row);
    task.norms[c] = std::sqrt(Dot(row, row, width));
    RowToFloats(task.columns[c].k, task.head_dim, row);
  }
  for (int32_t g = 0; g < task.group; ++g) {
    SmallProduct({.a = task.keys,
                  .a_row = width,
                  .a_step = 1,
                  .n_rows = task.n_columns,
                  .x = task.quadratic + int64_t{g} * task.head_dim * width,
                  .n_steps = task.head_dim,
                  .width = width},
                 task.products);
    const float* HWY_RESTRICT linear = task.linear + int64_t{g} * width;
    float* logits = task.logits + g * task.logits_stride;
    for (int32_t c = 0; c < task.n_columns; ++c) {
      const float* HWY_RESTRICT key = task.keys + int64_t{c} * width;
      const float* HWY_RESTRICT product = task.products + int64_t{c} * width;
      auto sum = hn::Zero(d);
      for (int32_t i = 0; i < width; i += lanes)
        sum = hn::MulAdd(hn::LoadU(d, key + i), hn::Add(hn::LoadU(d, product + i), hn::LoadU(d, linear + i)), sum);
      logits[c] = hn::GetLane(hn::SumOfLanes(d, sum));
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace headroom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace headroom {
HWY_EXPORT(ExpectColumns);

namespace {

/// Where each column of a KV head has its key and value: the held slots, then the turn's rows.
std::vector<KeyValue> columns_of(const ExpectedAttention& args, const Slabs& slabs, int32_t kv_head) {
  std::vector<KeyValue> columns;
  if (!args.held.empty()) {
    const HeadView& head = args.held[static_cast<size_t>(kv_head)];
    for (int32_t s = 0; s < head.length; ++s) {
      const PageView page = slabs.page(head.pages[static_cast<size_t>(s / page_tokens)]);
      columns.push_back(
          {cache_row(slabs.layout(), page.k, s % page_tokens), cache_row(slabs.layout(), page.v, s % page_tokens)});
    }
  }
  for (int32_t t = 0; t < args.n_rows; ++t) {
    const int64_t first = int64_t{t} * args.kv.row_values + kv_head * args.head_dim;
    columns.push_back({half_row(host_scratch_k(args.kv) + first), half_row(host_scratch_v(args.kv) + first)});
  }
  return columns;
}

/// A task's part of the columns: all of the held ones, or all of the turn's, cut into pieces.
struct Piece {
  int32_t kv_head;
  int32_t first;  // of the head's columns
  int32_t count;
  int32_t to;  // column of logits and norms
};

}  // namespace

void expected_attention(ThreadPool& pool, std::span<Scratch> scratch, const ExpectedAttention& args,
                        const Slabs& slabs) {
  const int32_t head_dim = args.head_dim, width = padded_width(head_dim);
  const int32_t n_heads = args.logits.n_rows, n_kv_heads = args.norms.n_rows, group = n_heads / n_kv_heads;
  const auto n_values = static_cast<size_t>(width);

  // Queries with padded rows.
  std::vector<float> linear(static_cast<size_t>(n_heads) * n_values);
  std::vector<float> quadratic(static_cast<size_t>(n_heads * head_dim) * n_values);
  const auto* from = reinterpret_cast<const float*>(host_bytes(*args.queries));
  for (int64_t h = 0; h < n_heads; ++h) {
    const float* of_head = from + h * head_dim * (1 + head_dim);
    std::copy(of_head, of_head + head_dim, linear.data() + h * width);
    for (int64_t i = 0; i < head_dim; ++i) {
      const float* row = of_head + (1 + i) * head_dim;
      std::copy(row, row + head_dim, quadratic.data() + (h * head_dim + i) * width);
    }
  }

  std::vector<std::vector<KeyValue>> columns;
  std::vector<Piece> pieces;
  for (int32_t h = 0; h < n_kv_heads; ++h) {
    columns.push_back(columns_of(args, slabs, h));
    const auto cut = [&](int32_t first, int32_t end, int32_t to) {
      for (; first < end; first += expected_columns, to += expected_columns)
        pieces.push_back({h, first, std::min(expected_columns, end - first), to});
    };
    const int32_t n_held = static_cast<int32_t>(columns.back().size()) - args.n_rows;
    cut(0, n_held, 0);
    cut(n_held, n_held + args.n_rows, args.n_held_columns);
  }
  for (Scratch& thread_scratch : scratch) thread_scratch.reserve(2 * expected_columns * n_values);
  pool.parallel_for(static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end, int thread) {
    float* free = scratch[static_cast<size_t>(thread)].reserve(0);
    for (int64_t p = begin; p < end; ++p) {
      const Piece& piece = pieces[static_cast<size_t>(p)];
      HWY_DYNAMIC_DISPATCH(ExpectColumns)
      ({.columns = columns[static_cast<size_t>(piece.kv_head)].data() + piece.first,
        .n_columns = piece.count,
        .head_dim = head_dim,
        .group = group,
        .linear = linear.data() + int64_t{piece.kv_head} * group * width,
        .quadratic = quadratic.data() + int64_t{piece.kv_head} * group * head_dim * width,
        .keys = free,
        .products = free + expected_columns * width,
        .logits = host_row(args.logits, piece.kv_head * group) + piece.to,
        .logits_stride = args.logits.stride,
        .norms = host_row(args.norms, piece.kv_head) + piece.to});
    }
  });
}

}  // namespace headroom
#endif  // HWY_ONCE
