// See self_test.h. Everything is made from a small generator, so that a result is the same on every machine.
#include "engine/backend/self_test.h"

#include <bit>
#include <cmath>
#include <functional>
#include <numeric>

#include "engine/base/error.h"

namespace headroom {
namespace {

// A wrong result is far off; rounding is not.
constexpr double largest_nmse = 1e-3;

constexpr int32_t head_dim = 64, n_kv_heads = 2, group = 3, n_rows = 70;
constexpr int32_t n_heads = n_kv_heads * group, q_dim = n_heads * head_dim, kv_dim = n_kv_heads * head_dim;

class Generator {
 public:
  uint32_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> 33);
  }
  std::vector<float> values(size_t n) {
    std::vector<float> list(n);
    for (float& value : list) value = static_cast<float>(next() % 2001) / 1000.0f - 1;
    return list;
  }

 private:
  uint64_t state_ = 1;
};

using Results = std::vector<std::vector<float>>;

/// The operations on one backend; the results of each in the order of `names`.
class Trial {
 public:
  static constexpr const char* names[] = {"matmul",         "rms_norm",      "rope", "gated_activation",
                                          "attend_prefill", "attend_decode", "evict"};

  explicit Trial(Backend& backend) : backend_(backend) {
    products();
    rows();
    attention();
  }

  const Results& results() const { return results_; }

 private:
  struct Held {
    std::unique_ptr<DeviceBuffer> buffer;
    Matrix matrix;
  };

  Held make(int32_t n, int32_t n_cols, std::span<const float> values) {
    Held held{backend_.allocate(static_cast<size_t>(n) * static_cast<size_t>(n_cols) * sizeof(float)), {}};
    held.matrix = {held.buffer.get(), 0, n, n_cols, n_cols};
    backend_.upload(*held.buffer, 0, std::as_bytes(values));
    return held;
  }
  Held random(int32_t n, int32_t n_cols) {
    return make(n, n_cols, generator_.values(static_cast<size_t>(n) * static_cast<size_t>(n_cols)));
  }
  Held zero(int32_t n, int32_t n_cols) {
    return make(n, n_cols, std::vector<float>(static_cast<size_t>(n) * static_cast<size_t>(n_cols)));
  }
  std::vector<float> read(const Held& held) {
    std::vector<float> values(static_cast<size_t>(held.matrix.n_rows) * static_cast<size_t>(held.matrix.n_cols));
    backend_.download(*held.buffer, 0, std::as_writable_bytes(std::span(values)));
    return values;
  }

  /// One token and a prompt's worth, 4-bit weights.
  void products() {
    constexpr int32_t n_in = 576, n_out = 193;
    std::vector<std::byte> bytes(row_bytes(TensorType::q4_1, n_in) * n_out);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(generator_.next());
    for (size_t block = 0; block < bytes.size(); block += 20) {  // a scale of 2^-4, a minimum of -0.5
      bytes[block] = bytes[block + 2] = std::byte{0};
      bytes[block + 1] = std::byte{0x2c};
      bytes[block + 3] = std::byte{0xb8};
    }
    const auto weight = backend_.load_weight(
        {.name = "self-test", .type = TensorType::q4_1, .n_cols = n_in, .n_rows = n_out, .data = bytes});
    std::vector<float> all;
    for (const int32_t n : {1, n_rows}) {
      const Held x = random(n, n_in), y = zero(n, n_out);
      const MatmulTerm term{weight.get(), nullptr, y.matrix, false};
      backend_.matmul(x.matrix, {&term, 1});
      const std::vector<float> result = read(y);
      all.insert(all.end(), result.begin(), result.end());
    }
    results_.push_back(all);
  }

  void rows() {
    const std::vector<float> gain = generator_.values(q_dim);
    const auto weight = backend_.load_weight({.name = "self-test",
                                              .type = TensorType::f32,
                                              .n_cols = q_dim,
                                              .n_rows = 1,
                                              .data = std::as_bytes(std::span(gain))});
    const Held x = random(n_rows, q_dim), y = random(n_rows, q_dim);
    backend_.rms_norm(x.matrix, *weight, 1e-5f, x.matrix);
    results_.push_back(read(x));
    std::vector<float> frequencies(head_dim / 2);
    for (size_t i = 0; i < frequencies.size(); ++i)
      frequencies[i] = std::pow(10000.0f, -static_cast<float>(i) / static_cast<float>(frequencies.size()));
    const Held table = make(1, head_dim / 2, frequencies);
    backend_.rope(x.matrix, head_dim, 1000, RopeStyle::neox, head_dim, *table.buffer);
    results_.push_back(read(x));
    backend_.gated_activation(Activation::silu, x.matrix, y.matrix);
    results_.push_back(read(x));
  }

  /// A prompt; the pages of its first head lose half of their tokens; a token follows, and each head lets one go.
  void attention() {
    const Held q = random(n_rows, q_dim), k = random(n_rows, kv_dim), v = random(n_rows, kv_dim);
    const Held out = zero(n_rows, q_dim), col = zero(n_heads, n_rows);
    const auto scratch = backend_.allocate(size_t{4} * n_rows * kv_dim);
    const KvScratch kv{scratch.get(), n_rows, kv_dim};
    backend_.store_kv(k.matrix, v.matrix, kv, 0);
    const std::vector<HeadView> nothing_held(n_kv_heads);
    backend_.attend_prefill({.q = q.matrix,
                             .kv = kv,
                             .held = nothing_held,
                             .head_dim = head_dim,
                             .scale = 0.125f,
                             .out = out.matrix,
                             .attention_mass = col.matrix,
                             .n_win = 0});
    std::vector<float> both = read(out);
    const std::vector<float> sums = read(col);
    both.insert(both.end(), sums.begin(), sums.end());
    results_.push_back(both);

    const PageLayout layout{head_dim};
    backend_.set_page_layout(layout);
    backend_.add_slab(0);
    std::vector<std::vector<PageId>> pages;
    std::vector<HeadView> heads;
    std::vector<KeepRule> rules;
    for (int32_t h = 0; h < n_kv_heads; ++h) {
      const int32_t n_kept = h == 0 ? n_rows / 2 : n_rows;
      std::vector<SlotSource> slots;
      for (int32_t s = 0; s < n_kept; ++s) {
        const int32_t position = h == 0 ? 2 * s : s;
        slots.push_back({.kind = SlotSource::Kind::scratch,
                         .index = position,
                         .tag = make_tag(position, TokenClass::plain),
                         .score = static_cast<float>(generator_.next() % 1000)});
      }
      pages.emplace_back(static_cast<size_t>(n_kept / page_tokens + 1));
      std::iota(pages.back().begin(), pages.back().end(), h * 16);
      const auto n_used = static_cast<size_t>((n_kept + page_tokens - 1) / page_tokens);
      backend_.gather_slots({.kv_head = h,
                             .from = {},
                             .kv = kv,
                             .log_rows = {},
                             .slots = slots,
                             .pages = std::span(pages.back()).first(n_used)});
      heads.push_back({pages.back(), n_kept});
      rules.push_back({.policy = Policy{Policy::frequent}, .n_frequent = n_kept});
    }
    for (size_t h = 0; h < heads.size(); ++h) heads[h].pages = pages[h];
    const Held q1 = random(1, q_dim), k1 = random(1, kv_dim), v1 = random(1, kv_dim), out1 = zero(1, q_dim);
    const auto program = backend_.make_step(
        [&] {
          backend_.attend_decode(0, q1.matrix, k1.matrix, v1.matrix, 0.125f, out1.matrix);
          backend_.evict(0);
        },
        {});
    backend_.prepare_step(*program, {.position = n_rows, .n_kv_heads = n_kv_heads, .heads = heads, .rules = rules});
    const StepReport report = backend_.run_step({});
    results_.push_back(read(out1));
    std::vector<float> left;
    for (const Eviction& eviction : report.evictions) {
      left.push_back(static_cast<float>(eviction.head));
      left.push_back(static_cast<float>(eviction.slot));
      left.push_back(static_cast<float>(eviction.position));
    }
    results_.push_back(left);
    backend_.remove_slab(0);
  }

  Backend& backend_;
  Generator generator_;
  Results results_;
};

bool agree(std::span<const float> found, std::span<const float> expected) {
  if (found.size() != expected.size()) return false;
  double error = 0, size = 1e-12;
  for (size_t i = 0; i < found.size(); ++i) {
    error += (double{found[i]} - expected[i]) * (double{found[i]} - expected[i]);
    size += double{expected[i]} * expected[i];
  }
  return error <= largest_nmse * size;  // false for what is not a number
}

}  // namespace

std::string self_test(Backend& tested, Backend& trusted) {
  const Trial expected(trusted);
  try {
    const Trial found(tested);
    for (size_t i = 0; i < std::size(Trial::names); ++i)
      if (!agree(found.results()[i], expected.results()[i]))
        return std::string("its driver gives wrong results in ") + Trial::names[i];
  } catch (const Error& error) {
    return std::string("its driver fails: ") + error.what();
  }
  return "";
}

}  // namespace headroom
