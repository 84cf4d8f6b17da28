// The transformer straight from its definition. See dense_oracle.h.
#include "tests/run/dense_oracle.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "engine/backend/cpu/dequantize.h"

namespace headroom::test {
namespace {

using Row = std::vector<double>;
using Rows = std::vector<Row>;

/// Of a vector.
float value(const TensorView& w, int64_t i) {
  assert(w.type == TensorType::f32);
  float f;
  std::memcpy(&f, w.data.data() + i * 4, 4);
  return f;
}

/// The nearest f16, ties to even; no overflow and no subnormal result is expected here.
double round_to_f16(double x) {
  if (x == 0) return 0;
  int exponent;
  std::frexp(x, &exponent);
  const double unit = std::ldexp(1.0, std::max(exponent - 11, -24));
  return std::nearbyint(x / unit) * unit;
}

/// One row of a tensor of any type.
std::vector<float> values_of_row(const TensorView& w, int64_t row) {
  std::vector<float> values(static_cast<size_t>(w.n_cols));
  dequantize_row(w.type, w.data.data() + row * static_cast<int64_t>(w.row_bytes()), w.n_cols, values.data());
  return values;
}

Row product(const TensorView& w, const Row& x, const std::optional<TensorView>& bias = std::nullopt) {
  Row y(static_cast<size_t>(w.n_rows));
  for (int64_t r = 0; r < w.n_rows; ++r) {
    double sum = bias ? value(*bias, r) : 0.0;
    const std::vector<float> weights = values_of_row(w, r);
    for (size_t c = 0; c < weights.size(); ++c) sum += weights[c] * x[c];
    y[static_cast<size_t>(r)] = sum;
  }
  return y;
}

void norm(double* x, size_t n, const TensorView& gain, double eps) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += x[i] * x[i];
  const double scale = 1 / std::sqrt(sum / static_cast<double>(n) + eps);
  for (size_t i = 0; i < n; ++i) x[i] *= scale * value(gain, static_cast<int64_t>(i));
}

Row normed(Row x, const TensorView& gain, double eps) {
  norm(x.data(), x.size(), gain, eps);
  return x;
}

void rope(double* head, const ModelConfig& config, const LayerConfig& layer, size_t position) {
  const size_t half = static_cast<size_t>(config.n_rot) / 2;
  for (size_t i = 0; i < half; ++i) {
    double angle = static_cast<double>(position) * layer.rope_scale *
                   std::pow(static_cast<double>(layer.rope_theta), -static_cast<double>(i) / static_cast<double>(half));
    if (!config.rope_factors.empty()) angle /= config.rope_factors[i];
    const bool interleaved = config.rope_style == RopeStyle::interleaved;
    double& a = head[interleaved ? 2 * i : i];
    double& b = head[interleaved ? 2 * i + 1 : i + half];
    const double a0 = a, b0 = b;
    a = a0 * std::cos(angle) - b0 * std::sin(angle);
    b = a0 * std::sin(angle) + b0 * std::cos(angle);
  }
}

double activate(Activation activation, double x) {
  if (activation == Activation::silu) return x / (1 + std::exp(-x));
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

/// The attended values of every row.  q: (n, n_heads * head_dim); k, v: (n, n_kv_heads * head_dim)
Rows attention(const ModelConfig& config, const LayerConfig& layer, const Rows& q, const Rows& k, const Rows& v) {
  const size_t n = q.size(), head_dim = static_cast<size_t>(config.head_dim);
  Rows out(n, Row(q[0].size(), 0.0));
  for (size_t q_head = 0; q_head < static_cast<size_t>(config.n_heads); ++q_head) {
    const size_t at = q_head * head_dim, kv_at = q_head / static_cast<size_t>(config.group()) * head_dim;
    for (size_t i = 0; i < n; ++i) {
      const size_t window = static_cast<size_t>(layer.window);
      const size_t first = window > 0 && i + 1 > window ? i + 1 - window : 0;
      Row a(n, 0.0);
      double largest = -1e300, sum = 0;
      for (size_t j = first; j <= i; ++j) {
        for (size_t d = 0; d < head_dim; ++d) a[j] += q[i][at + d] * k[j][kv_at + d];
        a[j] *= config.attention_scale;
        largest = std::max(largest, a[j]);
      }
      for (size_t j = first; j <= i; ++j) sum += a[j] = std::exp(a[j] - largest);
      for (size_t j = first; j <= i; ++j)
        for (size_t d = 0; d < head_dim; ++d) out[i][at + d] += a[j] / sum * v[j][kv_at + d];
    }
  }
  return out;
}

void add_to(Row& x, const Row& y) {
  for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
}

void run_layer(const ModelConfig& config, const LayerConfig& layer, const LayerTensors& w, Rows& x) {
  const double eps = config.rms_eps;
  const size_t head_dim = static_cast<size_t>(config.head_dim);
  Rows q, k, v;
  for (size_t i = 0; i < x.size(); ++i) {
    const Row h = normed(x[i], w.attn_norm, eps);
    q.push_back(product(w.attn_q, h, w.attn_q_bias));
    k.push_back(product(w.attn_k, h, w.attn_k_bias));
    v.push_back(product(w.attn_v, h, w.attn_v_bias));
    for (size_t at = 0; at < q[i].size(); at += head_dim) {
      if (w.attn_q_norm) norm(&q[i][at], head_dim, *w.attn_q_norm, eps);
      rope(&q[i][at], config, layer, i);
    }
    for (size_t at = 0; at < k[i].size(); at += head_dim) {
      if (w.attn_k_norm) norm(&k[i][at], head_dim, *w.attn_k_norm, eps);
      rope(&k[i][at], config, layer, i);
    }
    for (double& z : k[i]) z = round_to_f16(z);
    for (double& z : v[i]) z = round_to_f16(z);
  }
  const Rows attended = attention(config, layer, q, k, v);
  for (size_t i = 0; i < x.size(); ++i) {
    Row mixed = product(w.attn_output, attended[i]);
    if (w.post_attention_norm) mixed = normed(mixed, *w.post_attention_norm, eps);
    add_to(x[i], mixed);
    const Row h = normed(x[i], w.ffn_norm, eps);
    Row gate = product(w.ffn_gate, h);
    const Row up = product(w.ffn_up, h);
    for (size_t f = 0; f < gate.size(); ++f) gate[f] = activate(config.activation, gate[f]) * up[f];
    Row fed = product(w.ffn_down, gate);
    if (w.post_ffw_norm) fed = normed(fed, *w.post_ffw_norm, eps);
    add_to(x[i], fed);
  }
}

}  // namespace

std::vector<std::vector<double>> dense_logits(const ModelFile& file, const std::vector<TokenId>& ids) {
  const ModelConfig& config = file.config;
  Rows x;
  for (const TokenId id : ids) {
    x.emplace_back(static_cast<size_t>(config.n_embd));
    const std::vector<float> embedding = values_of_row(file.tensors.token_embd, id);
    for (size_t c = 0; c < x.back().size(); ++c) x.back()[c] = embedding[c] * config.embedding_scale;
  }
  for (size_t i = 0; i < file.tensors.layers.size(); ++i)
    run_layer(config, config.layers[i], file.tensors.layers[i], x);
  Rows logits;
  for (const Row& row : x)
    logits.push_back(product(file.tensors.output, normed(row, file.tensors.output_norm, config.rms_eps)));
  return logits;
}

}  // namespace headroom::test
