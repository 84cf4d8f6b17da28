// The layers of a transformer as calls of the backend. See forward.h.
#include "engine/run/forward.h"

#include <cmath>
#include <map>
#include <utility>

namespace headroom {
namespace {

std::unique_ptr<DeviceWeight> load(Backend& backend, const TensorView& view) {
  return backend.load_weight(view);
}
std::unique_ptr<DeviceWeight> load(Backend& backend, const std::optional<TensorView>& view) {
  return view ? backend.load_weight(*view) : nullptr;
}

/// Radians a position of each rotated pair: theta^(-2i / n_rot), divided by rope_freqs.weight where the file has it
/// (Llama 3.1), times the linear scale.
std::vector<float> make_rope_frequencies(const ModelConfig& config, float theta, float scale) {
  std::vector<float> frequencies(static_cast<size_t>(config.n_rot / 2));
  for (size_t i = 0; i < frequencies.size(); ++i) {
    double frequency = std::pow(static_cast<double>(theta), -2.0 * static_cast<double>(i) / config.n_rot) * scale;
    if (!config.rope_factors.empty()) frequency /= config.rope_factors[i];
    frequencies[i] = static_cast<float>(frequency);
  }
  return frequencies;
}

std::unique_ptr<DeviceBuffer> make_rope_table(Backend& backend, std::span<const float> frequencies) {
  auto buffer = backend.allocate(frequencies.size() * sizeof(float));
  backend.upload(*buffer, 0, std::as_bytes(frequencies));
  return buffer;
}

/// The same rows with each head a row of its own, for norms over a head.
Matrix by_head(Matrix x, int32_t head_dim) {
  const int32_t n_heads = x.n_cols / head_dim;
  return {x.buffer, x.offset, x.n_rows * n_heads, head_dim, head_dim};
}

}  // namespace

// A buffer for each: a GPU runs operations side by side that touch different buffers.
Activations::Activations(Backend& backend, const ModelConfig& config, int32_t n_rows) {
  const auto make = [&](Matrix& matrix, int32_t n_cols) {
    buffers_.push_back(backend.allocate(static_cast<size_t>(n_rows) * static_cast<size_t>(n_cols) * sizeof(float)));
    matrix = {buffers_.back().get(), 0, n_rows, n_cols, n_cols};
  };
  make(hidden, config.n_embd);
  make(q, config.q_dim());
  make(k, config.kv_dim());
  make(v, config.kv_dim());
  make(attended, config.q_dim());
  make(branch, config.n_embd);
  make(gate, config.n_ff);
  make(up, config.n_ff);
}

Forward::Forward(const Model& model, Backend& backend) : model_(model), backend_(backend) {
  const ModelTensors& tensors = model.tensors();
  token_embd_ = load(backend, tensors.token_embd);
  output_norm_ = load(backend, tensors.output_norm);
  output_ = load(backend, tensors.output);
  logits_ = backend.allocate(static_cast<size_t>(config().n_vocab) * sizeof(float));

  std::map<std::pair<float, float>, DeviceBuffer*> rope_by_layer_kind;
  for (size_t i = 0; i < tensors.layers.size(); ++i) {
    const LayerTensors& from = tensors.layers[i];
    const LayerConfig& layer_config = config().layers[i];
    DeviceBuffer*& rope = rope_by_layer_kind[{layer_config.rope_theta, layer_config.rope_scale}];
    rope_frequencies_.push_back(make_rope_frequencies(config(), layer_config.rope_theta, layer_config.rope_scale));
    if (rope == nullptr) {
      rope_tables_.push_back(make_rope_table(backend, rope_frequencies_.back()));
      rope = rope_tables_.back().get();
    }
    layers_.push_back({load(backend, from.attn_norm), load(backend, from.attn_q), load(backend, from.attn_k),
                       load(backend, from.attn_v), load(backend, from.attn_q_bias), load(backend, from.attn_k_bias),
                       load(backend, from.attn_v_bias), load(backend, from.attn_q_norm),
                       load(backend, from.attn_k_norm), load(backend, from.attn_output),
                       load(backend, from.post_attention_norm), load(backend, from.ffn_norm),
                       load(backend, from.ffn_gate), load(backend, from.ffn_up), load(backend, from.ffn_down),
                       load(backend, from.post_ffw_norm), rope});
  }
}

int64_t Forward::weight_bytes_per_token() const {
  int64_t bytes = static_cast<int64_t>(token_embd_->view().row_bytes());
  const auto count = [&](const std::unique_ptr<DeviceWeight>& weight) {
    if (weight) bytes += static_cast<int64_t>(weight->view().data.size());
  };
  for (const LayerWeights& w : layers_)
    for (const auto* weight : {&w.attn_norm, &w.attn_q, &w.attn_k, &w.attn_v, &w.attn_q_bias, &w.attn_k_bias,
                               &w.attn_v_bias, &w.attn_q_norm, &w.attn_k_norm, &w.attn_output, &w.post_attention_norm,
                               &w.ffn_norm, &w.ffn_gate, &w.ffn_up, &w.ffn_down, &w.post_ffw_norm})
      count(*weight);
  count(output_norm_);
  count(output_);
  return bytes;
}

void Forward::embed(std::span<const TokenId> ids, Matrix x) const {
  backend_.embed(*token_embd_, ids, config().embedding_scale, x);
}

std::span<const float> Forward::rope_frequencies(int32_t layer) const {
  return rope_frequencies_[static_cast<size_t>(layer)];
}

void Forward::embed_token(Matrix x) const {
  backend_.embed_token(*token_embd_, config().embedding_scale, x);
}

void Forward::project_before_rope(int32_t layer, Matrix x, const Activations& block) const {
  const LayerWeights& w = layers_[static_cast<size_t>(layer)];
  const int32_t n = x.n_rows;
  const Matrix hidden = block.hidden.rows(0, n), q = block.q.rows(0, n), k = block.k.rows(0, n), v = block.v.rows(0, n);
  backend_.rms_norm(x, *w.attn_norm, config().rms_eps, hidden);
  const MatmulTerm terms[] = {{w.attn_q.get(), w.attn_q_bias.get(), q, false},
                              {w.attn_k.get(), w.attn_k_bias.get(), k, false},
                              {w.attn_v.get(), w.attn_v_bias.get(), v, false}};
  backend_.matmul(hidden, terms, MatmulUse::qkv);
  const int32_t head_dim = config().head_dim;
  if (w.attn_q_norm) backend_.rms_norm(by_head(q, head_dim), *w.attn_q_norm, config().rms_eps, by_head(q, head_dim));
  if (w.attn_k_norm) backend_.rms_norm(by_head(k, head_dim), *w.attn_k_norm, config().rms_eps, by_head(k, head_dim));
}

void Forward::project(int32_t layer, Matrix x, int32_t position0, const Activations& block,
                      const std::function<void(Matrix)>& before_rope) const {
  project_before_rope(layer, x, block);
  const Matrix q = block.q.rows(0, x.n_rows), k = block.k.rows(0, x.n_rows);
  if (before_rope) before_rope(q);
  const DeviceBuffer& frequencies = *layers_[static_cast<size_t>(layer)].rope_frequencies;
  for (const Matrix& rows : {q, k})
    backend_.rope(rows, config().head_dim, position0, config().rope_style, config().n_rot, frequencies);
}

void Forward::project_token(int32_t layer, Matrix x, const Activations& block) const {
  project_before_rope(layer, x, block);
  const DeviceBuffer& frequencies = *layers_[static_cast<size_t>(layer)].rope_frequencies;
  for (const Matrix& row : {block.q.rows(0, 1), block.k.rows(0, 1)})
    backend_.rope_token(row, config().head_dim, config().rope_style, config().n_rot, frequencies);
}

void Forward::finish_layer(int32_t layer, Matrix x, Matrix attended, const Activations& block) const {
  const LayerWeights& w = layers_[static_cast<size_t>(layer)];
  const int32_t n = x.n_rows;
  const Matrix hidden = block.hidden.rows(0, n), branch = block.branch.rows(0, n), gate = block.gate.rows(0, n),
               up = block.up.rows(0, n);
  // A product goes straight into the residual stream, unless a norm stands between.
  const auto contribute = [&](MatmulUse use, Matrix input, const DeviceWeight& weight, const DeviceWeight* norm) {
    const MatmulTerm term{&weight, nullptr, norm == nullptr ? x : branch, norm == nullptr};
    backend_.matmul(input, {&term, 1}, use);
    if (norm == nullptr) return;
    backend_.rms_norm(branch, *norm, config().rms_eps, branch);
    backend_.add(x, branch);
  };
  contribute(MatmulUse::output, attended, *w.attn_output, w.post_attention_norm.get());
  backend_.rms_norm(x, *w.ffn_norm, config().rms_eps, hidden);
  const MatmulTerm terms[] = {{w.ffn_gate.get(), nullptr, gate, false}, {w.ffn_up.get(), nullptr, up, false}};
  backend_.matmul(hidden, terms, MatmulUse::feed_forward);
  backend_.gated_activation(config().activation, gate, up);
  contribute(MatmulUse::feed_forward, gate, *w.ffn_down, w.post_ffw_norm.get());
}

Matrix Forward::compute_logits(Matrix x, const Activations& block) const {
  const Matrix hidden = block.hidden.rows(0, 1), out = logits_row();
  backend_.rms_norm(x, *output_norm_, config().rms_eps, hidden);
  const MatmulTerm term{output_.get(), nullptr, out, false};
  backend_.matmul(hidden, {&term, 1}, MatmulUse::logits);
  return out;
}

void Forward::logits(Matrix x, const Activations& block, std::vector<float>& out) const {
  const Matrix row = compute_logits(x, block);
  out.resize(static_cast<size_t>(row.n_cols));
  backend_.download(*row.buffer, 0, std::as_writable_bytes(std::span(out)));
}

}  // namespace headroom
