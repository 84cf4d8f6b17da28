// See ragged_bench.h. Pages start at slab 0, as in a fresh pool.
#include "app/ragged_bench.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "engine/base/clock.h"

namespace headroom {
namespace {

constexpr int32_t tokens_per_head = 2048;  // if all are equal
constexpr int32_t n_layers = 8;
constexpr int n_rounds = 5, steps_per_round = 4;

/// Heads of n_layers layers with these numbers of tokens; K and V are zeros.
class Heads {
 public:
  Heads(Backend& backend, const ModelConfig& model, const std::vector<int32_t>& lengths, int32_t& n_pages)
      : n_kv_heads_(model.n_kv_heads) {
    const PageLayout layout{model.head_dim};
    const std::vector<uint16_t> rows(layout.slot_row_u16s());
    for (int32_t layer = 0; layer < n_layers; ++layer) {
      for (const int32_t length : lengths) {
        std::vector<PageId> pages(static_cast<size_t>(length / page_tokens + 1));
        for (PageId& page : pages) {
          if (n_pages % layout.pages_per_slab() == 0) backend.add_slab(n_pages / layout.pages_per_slab());
          page = n_pages++;
        }
        std::vector<SlotSource> slots;
        for (int32_t s = 0; s < length; ++s)
          slots.push_back({.kind = SlotSource::Kind::log, .index = 0, .tag = make_tag(s, TokenClass::plain)});
        const auto n_used = static_cast<size_t>((length + page_tokens - 1) / page_tokens);
        backend.gather_slots({.kv_head = 0,
                              .from = {},
                              .kv = {},
                              .log_rows = rows,
                              .slots = slots,
                              .pages = std::span(pages).first(n_used)});
        pages_.push_back(std::move(pages));
        lengths_.push_back(length);
      }
    }
    for (size_t h = 0; h < pages_.size(); ++h) views_.push_back({pages_[h], lengths_[h]});
    rules_.resize(views_.size());  // default rules: nothing is evicted
  }

  double seconds_per_step(Backend& backend, Matrix q, Matrix kv, Matrix out) const {
    const auto program = backend.make_step(
        [&] {
          for (int32_t layer = 0; layer < n_layers; ++layer) backend.attend_decode(layer, q, kv, kv, 0.1f, out);
        },
        {});
    const DecodeStep step{
        .position = max_position, .n_kv_heads = n_kv_heads_, .heads = views_, .rules = rules_, .log_before = 0};
    backend.prepare_step(*program, step);
    backend.run_step({});  // recorded, if the backend records
    const Clock::time_point begin = Clock::now();
    for (int i = 0; i < steps_per_round; ++i) {
      backend.prepare_step(*program, step);
      backend.run_step({});
    }
    return std::chrono::duration<double>(Clock::now() - begin).count() / steps_per_round;
  }

 private:
  int32_t n_kv_heads_;
  std::vector<std::vector<PageId>> pages_;
  std::vector<int32_t> lengths_;
  std::vector<HeadView> views_;
  std::vector<KeepRule> rules_;
};

}  // namespace

double ragged_attention_ratio(Backend& backend, const ModelConfig& model) {
  if (model.n_kv_heads < 2) return 0;
  const auto n_heads = static_cast<size_t>(model.n_kv_heads);
  const int32_t unit = tokens_per_head * model.n_kv_heads / (model.n_kv_heads + 9);
  std::vector<int32_t> ragged(n_heads, unit);
  ragged.front() = 10 * unit;
  const std::vector<int32_t> equal(n_heads, tokens_per_head);

  backend.set_page_layout(PageLayout{model.head_dim});
  int32_t n_pages = 0;
  std::vector<double> ratios;
  {
    const Heads even(backend, model, equal, n_pages), uneven(backend, model, ragged, n_pages);
    const auto q_dim = static_cast<int32_t>(model.q_dim()), kv_dim = static_cast<int32_t>(model.kv_dim());
    const auto buffer = backend.allocate(sizeof(float) * static_cast<size_t>(2 * q_dim + kv_dim + 32));
    const int32_t kv_at = (q_dim + 15) / 16 * 16, out_at = kv_at + (kv_dim + 15) / 16 * 16;
    const Matrix q{buffer.get(), 0, 1, q_dim, q_dim}, kv{buffer.get(), kv_at, 1, kv_dim, kv_dim},
        out{buffer.get(), out_at, 1, q_dim, q_dim};
    for (const Matrix& m : {q, kv, out}) backend.fill_zero(m);
    even.seconds_per_step(backend, q, kv, out);
    uneven.seconds_per_step(backend, q, kv, out);
    for (int round = 0; round < n_rounds; ++round) {
      const double even_seconds = even.seconds_per_step(backend, q, kv, out);
      ratios.push_back(uneven.seconds_per_step(backend, q, kv, out) / even_seconds);
    }
  }
  for (int32_t slab = 0; slab * PageLayout{model.head_dim}.pages_per_slab() < n_pages; ++slab)
    backend.remove_slab(slab);
  std::nth_element(ratios.begin(), ratios.begin() + n_rounds / 2, ratios.end());
  return ratios[n_rounds / 2];
}

}  // namespace headroom
