// Attention of the oracle, by definition: scores, softmax, weighted sum of V, and the sums of the profile over columns.
#include "engine/backend/cpu/reference/reference_attention.h"

#include <cmath>
#include <limits>

#include "engine/backend/cpu/half.h"

namespace headroom {
namespace {

/// A key with its value, wherever it lies.
struct Column {
  CacheRow k;
  CacheRow v;
  int32_t position;
  int32_t statistics_column;  // of col and win
};

double value_at(CacheRow row, int32_t i) {
  if (row.scales == nullptr) return half_to_float(row.halves()[i]);
  return double{half_to_float(row.scale(i / q8_block_values))} * row.bytes()[i];
}

double dot(const float* q, CacheRow k, int32_t n) {
  double sum = 0;
  for (int32_t i = 0; i < n; ++i) sum += double{q[i]} * value_at(k, i);
  return sum;
}

/// Scores to probabilities, in place; a score of minus infinity is a column that is not seen.
void softmax(std::vector<double>& row) {
  const double largest = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (double& value : row) sum += value = std::exp(value - largest);
  for (double& value : row) value /= sum;
}

std::vector<Column> columns_of_head(const AttendPrefill& args, const Slabs& slabs, int32_t kv_head) {
  std::vector<Column> columns;
  if (!args.held.empty()) {
    const HeadView head = args.held[static_cast<size_t>(kv_head)];
    for (int32_t s = 0; s < head.length; ++s) {
      const PageView page = slabs.page(head.pages[static_cast<size_t>(s / page_tokens)]);
      const int32_t at = s % page_tokens;
      columns.push_back({cache_row(slabs.layout(), page.k, at), cache_row(slabs.layout(), page.v, at),
                         tag_position(page.tags[at]), s});
    }
  }
  for (int32_t t = 0; t < args.first_row + args.q.n_rows; ++t) {
    const int64_t first = int64_t{t} * args.kv.row_values + kv_head * args.head_dim;
    columns.push_back({half_row(host_scratch_k(args.kv) + first), half_row(host_scratch_v(args.kv) + first),
                       args.position0 + t, args.n_held_columns + t});
  }
  return columns;
}

}  // namespace

void reference_attend_prefill(const AttendPrefill& args, const Slabs& slabs) {
  const int32_t n_heads = args.q.n_cols / args.head_dim;
  const int32_t group = n_heads / (args.kv.row_values / args.head_dim);
  for (int32_t q_head = 0; q_head < n_heads; ++q_head) {
    const std::vector<Column> columns = columns_of_head(args, slabs, q_head / group);
    std::vector<double> col(columns.size()), recent(columns.size());
    std::vector<std::vector<double>> win(static_cast<size_t>(args.n_win), std::vector<double>(columns.size()));
    for (int32_t r = 0; r < args.q.n_rows; ++r) {
      const int32_t position = args.position0 + args.first_row + r;
      const float* q = host_row(args.q, r) + q_head * args.head_dim;
      std::vector<double> a(columns.size());  // row of the attention map
      for (size_t c = 0; c < columns.size(); ++c) {
        const int32_t distance = position - columns[c].position;
        const bool seen = distance >= 0 && (args.window == 0 || distance < args.window);
        a[c] =
            seen ? double{args.scale} * dot(q, columns[c].k, args.head_dim) : -std::numeric_limits<double>::infinity();
      }
      softmax(a);
      for (size_t c = 0; c < columns.size(); ++c) {
        col[c] += a[c];
        for (size_t w = 0; w < win.size(); ++w)
          if (position - columns[c].position < args.win_tokens[w]) win[w][c] += a[c];
        if (args.first_row + r >= args.recent_from) recent[c] += a[c];
      }
      for (int32_t i = 0; i < args.head_dim; ++i) {
        double sum = 0;
        for (size_t c = 0; c < columns.size(); ++c) sum += a[c] * value_at(columns[c].v, i);
        host_row(args.out, r)[q_head * args.head_dim + i] = static_cast<float>(sum);
      }
    }
    for (size_t c = 0; c < columns.size(); ++c) {
      const int32_t to = columns[c].statistics_column;
      if (args.attention_mass.buffer != nullptr)
        host_row(args.attention_mass, q_head)[to] += static_cast<float>(col[c]);
      if (args.windowed_mass.buffer != nullptr)
        for (int32_t w = 0; w < args.n_win; ++w)
          host_row(args.windowed_mass, w * n_heads + q_head)[to] += static_cast<float>(win[static_cast<size_t>(w)][c]);
      if (args.recent_mass.buffer != nullptr) host_row(args.recent_mass, q_head)[to] += static_cast<float>(recent[c]);
    }
  }
}

void reference_add_query_moments(const Matrix& q, int32_t head_dim, const QueryMoments& moments) {
  for (int32_t h = 0; h < q.n_cols / head_dim; ++h) {
    float* shift = reinterpret_cast<float*>(host_bytes(*moments.buffer)) + h * QueryMoments::values(head_dim);
    float* sums = shift + head_dim;
    float* products = sums + head_dim;
    for (int32_t i = 0; i < head_dim; ++i) {
      const auto centred = [&](int32_t row, int32_t at) {
        return double{host_row(q, row)[h * head_dim + at]} - shift[at];
      };
      double sum = sums[i];
      for (int32_t r = 0; r < q.n_rows; ++r) sum += centred(r, i);
      sums[i] = static_cast<float>(sum);
      for (int32_t j = 0; j < head_dim; ++j) {
        double product = products[i * head_dim + j];
        for (int32_t r = 0; r < q.n_rows; ++r) product += centred(r, i) * centred(r, j);
        products[i * head_dim + j] = static_cast<float>(product);
      }
    }
  }
}

void reference_expected_attention(const ExpectedAttention& args, const Slabs& slabs) {
  const int32_t n_heads = args.logits.n_rows, group = n_heads / args.norms.n_rows, d = args.head_dim;
  const auto* queries = reinterpret_cast<const float*>(host_bytes(*args.queries));
  // The same columns as those of a prefill's sums.
  const AttendPrefill shape{.q = {.n_rows = args.n_rows},
                            .kv = args.kv,
                            .held = args.held,
                            .n_held_columns = args.n_held_columns,
                            .head_dim = d};
  for (int32_t h = 0; h < n_heads; ++h) {
    const float* linear = queries + int64_t{h} * d * (1 + d);
    const float* quadratic = linear + d;
    for (const Column& column : columns_of_head(shape, slabs, h / group)) {
      std::vector<double> key;
      double norm = 0;
      for (int32_t i = 0; i < d; ++i) {
        key.push_back(value_at(column.k, i));
        norm += value_at(column.v, i) * value_at(column.v, i);
      }
      double logit = 0;
      for (size_t i = 0; i < key.size(); ++i) {
        double product = linear[i];
        for (size_t j = 0; j < key.size(); ++j) product += double{quadratic[i * key.size() + j]} * key[j];
        logit += key[i] * product;
      }
      host_row(args.logits, h)[column.statistics_column] = static_cast<float>(logit);
      host_row(args.norms, h / group)[column.statistics_column] = static_cast<float>(std::sqrt(norm));
    }
  }
}

void reference_attend_decode(HeadView head, const Slabs& slabs, int32_t group, float scale, const float* q,
                             float* out) {
  const int32_t head_dim = slabs.layout().head_dim;
  std::vector<double> sums(static_cast<size_t>(head.length));
  for (int32_t g = 0; g < group; ++g) {
    std::vector<double> a(sums.size());
    for (size_t s = 0; s < a.size(); ++s) {
      const PageView page = slabs.page(head.pages[s / page_tokens]);
      const CacheRow k = cache_row(slabs.layout(), page.k, static_cast<int32_t>(s % page_tokens));
      a[s] = double{scale} * dot(q + g * head_dim, k, head_dim);
    }
    softmax(a);
    std::vector<double> mixed(static_cast<size_t>(head_dim));
    for (size_t s = 0; s < a.size(); ++s) {
      const PageView page = slabs.page(head.pages[s / page_tokens]);
      const CacheRow v = cache_row(slabs.layout(), page.v, static_cast<int32_t>(s % page_tokens));
      for (int32_t i = 0; i < head_dim; ++i) mixed[static_cast<size_t>(i)] += a[s] * value_at(v, i);
      sums[s] += a[s];
    }
    for (int32_t i = 0; i < head_dim; ++i) out[g * head_dim + i] = static_cast<float>(mixed[static_cast<size_t>(i)]);
  }
  for (size_t s = 0; s < sums.size(); ++s) {
    float& score = slabs.page(head.pages[s / page_tokens]).scores[s % page_tokens];
    score = static_cast<float>(score + sums[s]);
  }
}

}  // namespace headroom
