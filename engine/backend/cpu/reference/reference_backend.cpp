// The plain operations of the oracle: embedding, norm, products, RoPE, gated activation. Read each as its definition.
#include "engine/backend/cpu/reference/reference_backend.h"

#include <algorithm>
#include <cmath>

#include "engine/backend/cpu/dequantize.h"
#include "engine/backend/cpu/half.h"
#include "engine/backend/cpu/reference/reference_attention.h"

namespace headroom {
namespace {

class ReferenceBackend final : public HostBackend {
 public:
  explicit ReferenceBackend(size_t kv_limit_bytes) : HostBackend(kv_limit_bytes) {
    info_ = {.name = "cpu-reference", .device = "one thread, double precision", .unified_memory = true};
  }

  void embed(const DeviceWeight& table, std::span<const TokenId> ids, float scale, Matrix out) override;
  void rms_norm(Matrix x, const DeviceWeight& gain, float eps, Matrix out) override;
  void matmul(Matrix x, std::span<const MatmulTerm> terms, MatmulUse use) override;
  void rope(Matrix x, int32_t head_dim, int32_t position0, RopeStyle style, int32_t n_rot,
            const DeviceBuffer& frequencies) override;
  void add(Matrix x, Matrix y) override;
  void gated_activation(Activation activation, Matrix gate, Matrix up) override;
  void store_kv(Matrix k, Matrix v, KvScratch kv, int32_t first_row) override;

  void attend_prefill(const AttendPrefill& args) override {
    const auto scope = clock_.time(Stage::attend_prefill, 0);
    reference_attend_prefill(args, slabs_);
  }
  void add_query_moments(Matrix q, int32_t head_dim, QueryMoments moments) override {
    const auto scope = clock_.time(Stage::add_query_moments, 0);
    reference_add_query_moments(q, head_dim, moments);
  }
  void expected_attention(const ExpectedAttention& args) override {
    const auto scope = clock_.time(Stage::expected_attention, 0);
    reference_expected_attention(args, slabs_);
  }
  void attend_decode(int32_t layer, Matrix q, Matrix k, Matrix v, float scale, Matrix out) override;
  void evict(int32_t layer) override;

 protected:
  void quantize_row(const float* from, CacheRow to) override;
  void quantize_row(const uint16_t* from, CacheRow to) override;
};

void ReferenceBackend::embed(const DeviceWeight& table, std::span<const TokenId> ids, float scale, Matrix out) {
  const auto scope = clock_.time(Stage::embed, 0);
  const TensorView& view = table.view();
  assert(out.n_cols == view.n_cols && static_cast<size_t>(out.n_rows) == ids.size());
  for (int32_t r = 0; r < out.n_rows; ++r) {
    const TokenId id = ids[static_cast<size_t>(r)];
    assert(id >= 0 && id < view.n_rows);
    float* row = host_row(out, r);
    dequantize_row(view.type, view.data.data() + static_cast<size_t>(id) * view.row_bytes(), view.n_cols, row);
    for (int32_t i = 0; i < out.n_cols; ++i) row[i] *= scale;
  }
}

void ReferenceBackend::rms_norm(Matrix x, const DeviceWeight& gain, float eps, Matrix out) {
  const auto scope = clock_.time(Stage::rms_norm, 0);
  const float* weights = host_vector(gain);
  for (int32_t r = 0; r < x.n_rows; ++r) {
    const float* from = host_row(x, r);
    float* to = host_row(out, r);
    double sum = 0;
    for (int32_t i = 0; i < x.n_cols; ++i) sum += double{from[i]} * from[i];
    const double factor = 1 / std::sqrt(sum / x.n_cols + double{eps});
    for (int32_t i = 0; i < x.n_cols; ++i) to[i] = static_cast<float>(from[i] * factor * weights[i]);
  }
}

void ReferenceBackend::matmul(Matrix x, std::span<const MatmulTerm> terms, MatmulUse use) {
  const auto scope = clock_.time(stage_of(use), 0);
  for (const MatmulTerm& term : terms) {
    const TensorView& weight = term.weight->view();
    assert(weight.n_cols == x.n_cols && weight.n_rows == term.y.n_cols && term.y.n_rows == x.n_rows);
    std::vector<float> row(static_cast<size_t>(weight.n_cols));
    for (int32_t o = 0; o < term.y.n_cols; ++o) {
      dequantize_row(weight.type, weight.data.data() + static_cast<size_t>(o) * weight.row_bytes(), weight.n_cols,
                     row.data());
      for (int32_t r = 0; r < x.n_rows; ++r) {
        const float* from = host_row(x, r);
        double sum = term.bias != nullptr ? host_vector(*term.bias)[o] : 0.0f;
        for (int32_t i = 0; i < x.n_cols; ++i) sum += double{from[i]} * row[static_cast<size_t>(i)];
        float& to = host_row(term.y, r)[o];
        to = static_cast<float>(term.accumulate ? to + sum : sum);
      }
    }
  }
}

void ReferenceBackend::rope(Matrix x, int32_t head_dim, int32_t position0, RopeStyle style, int32_t n_rot,
                            const DeviceBuffer& frequencies) {
  const auto scope = clock_.time(Stage::rope, 0);
  const auto* radians = reinterpret_cast<const float*>(host_bytes(frequencies));
  const int32_t half = n_rot / 2;
  for (int32_t r = 0; r < x.n_rows; ++r) {
    for (int32_t first = 0; first < x.n_cols; first += head_dim) {
      float* values = host_row(x, r) + first;
      for (int32_t i = 0; i < half; ++i) {
        const double angle = double{radians[i]} * (position0 + r);
        float& a = values[style == RopeStyle::interleaved ? 2 * i : i];
        float& b = values[style == RopeStyle::interleaved ? 2 * i + 1 : i + half];
        const double a0 = a, b0 = b;
        a = static_cast<float>(a0 * std::cos(angle) - b0 * std::sin(angle));
        b = static_cast<float>(a0 * std::sin(angle) + b0 * std::cos(angle));
      }
    }
  }
}

void ReferenceBackend::add(Matrix x, Matrix y) {
  const auto scope = clock_.time(Stage::add, 0);
  for (int32_t r = 0; r < x.n_rows; ++r)
    for (int32_t i = 0; i < x.n_cols; ++i) host_row(x, r)[i] += host_row(y, r)[i];
}

void ReferenceBackend::gated_activation(Activation activation, Matrix gate, Matrix up) {
  const auto scope = clock_.time(Stage::gated_activation, 0);
  for (int32_t r = 0; r < gate.n_rows; ++r) {
    for (int32_t i = 0; i < gate.n_cols; ++i) {
      float& value = host_row(gate, r)[i];
      const double g = value;
      const double sqrt_2_over_pi = 0.79788456080286535588;
      const double active = activation == Activation::silu
                                ? g / (1 + std::exp(-g))
                                : 0.5 * g * (1 + std::tanh(sqrt_2_over_pi * (g + 0.044715 * g * g * g)));
      value = static_cast<float>(active * host_row(up, r)[i]);
    }
  }
}

void ReferenceBackend::store_kv(Matrix k, Matrix v, KvScratch kv, int32_t first_row) {
  const auto scope = clock_.time(Stage::store_kv, 0);
  assert(k.n_cols == kv.row_values && v.n_cols == kv.row_values && first_row + k.n_rows <= kv.capacity_rows);
  for (int32_t r = 0; r < k.n_rows; ++r) {
    for (int32_t i = 0; i < kv.row_values; ++i) {
      const int64_t at = int64_t{first_row + r} * kv.row_values + i;
      host_scratch_k(kv)[at] = float_to_half(host_row(k, r)[i]);
      host_scratch_v(kv)[at] = float_to_half(host_row(v, r)[i]);
    }
  }
}

void ReferenceBackend::attend_decode(int32_t layer, Matrix q, Matrix k, Matrix v, float scale, Matrix out) {
  const auto scope = clock_.time(Stage::attend_decode, 0);
  const int32_t group = q.n_cols / k.n_cols;
  for (int32_t kv_head = 0; kv_head < step_.n_kv_heads; ++kv_head) {
    const int32_t head = layer * step_.n_kv_heads + kv_head;
    append_slot(head, host_row(k, 0) + kv_head * head_dim(), host_row(v, 0) + kv_head * head_dim());
    const int32_t first = kv_head * group * head_dim();
    reference_attend_decode(step_head(head), slabs_, group, scale, host_row(q, 0) + first, host_row(out, 0) + first);
  }
}

void ReferenceBackend::quantize_row(const float* from, CacheRow to) {
  for (int32_t first = 0; first < head_dim(); first += q8_block_values) {
    float largest = 0;
    for (int32_t i = first; i < first + q8_block_values; ++i) largest = std::max(largest, std::abs(from[i]));
    uint16_t& scale = to.scale(first / q8_block_values);
    scale = float_to_half(std::min(largest / 127, largest_half));
    const float divisor = half_to_float(scale);
    for (int32_t i = first; i < first + q8_block_values; ++i) {
      const float rounded = divisor == 0 ? 0 : std::nearbyint(from[i] / divisor);  // ties to even
      to.bytes()[i] = static_cast<int8_t>(std::clamp(rounded, -127.0f, 127.0f));
    }
  }
}

void ReferenceBackend::quantize_row(const uint16_t* from, CacheRow to) {
  std::vector<float> values;
  for (int32_t i = 0; i < head_dim(); ++i) values.push_back(half_to_float(from[i]));
  quantize_row(values.data(), to);
}

// The rule on the state at entry decides who leaves; the order of leaving is by score, not by slot.
void ReferenceBackend::evict(int32_t layer) {
  const auto scope = clock_.time(Stage::evict, 0);
  struct Slot {
    int32_t position;
    float score;
  };
  for (int32_t kv_head = 0; kv_head < step_.n_kv_heads; ++kv_head) {
    const int32_t head = layer * step_.n_kv_heads + kv_head;
    const KeepRule& rule = step_.rules[static_cast<size_t>(head)];
    std::vector<Slot> rest, leaving;
    for (int32_t s = 0; s < step_head(head).length; ++s) {
      const PageView page = slabs_.page(step_head(head).pages[static_cast<size_t>(s / page_tokens)]);
      const SlotTag tag = page.tags[s % page_tokens];
      const Slot slot{tag_position(tag), page.scores[s % page_tokens]};
      if (slot.position < rule.reach_from)
        leaving.push_back(slot);
      else if (!rule.keeps_always(slot.position, tag_class(tag)))
        rest.push_back(slot);
    }
    const auto leaves_first = [](const Slot& a, const Slot& b) {
      return a.score != b.score ? a.score < b.score : a.position > b.position;
    };
    std::sort(rest.begin(), rest.end(), leaves_first);
    const int32_t n_always = step_head(head).length - static_cast<int32_t>(leaving.size() + rest.size());
    const auto kept = static_cast<size_t>(rule.n_by_score(n_always));
    if (rest.size() > kept) leaving.insert(leaving.end(), rest.begin(), rest.end() - static_cast<int64_t>(kept));
    std::sort(leaving.begin(), leaving.end(), leaves_first);

    for (const Slot& slot : leaving) {
      int32_t s = 0;
      while (tag_position(
                 slabs_.page(step_head(head).pages[static_cast<size_t>(s / page_tokens)]).tags[s % page_tokens]) !=
             slot.position)
        ++s;
      remove_slot(head, s);
    }
  }
}

}  // namespace

std::unique_ptr<Backend> make_reference_backend(size_t kv_limit_bytes) {
  return std::make_unique<ReferenceBackend>(kv_limit_bytes);
}

}  // namespace headroom
