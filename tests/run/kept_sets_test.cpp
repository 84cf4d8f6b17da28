// What the cache keeps, over a prefill, 64 generated tokens and later turns, equals a plain simulation of the
// definition on random attention: every configuration, full attention and sliding windows, every available backend.
#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "engine/kv/expected_attention.h"
#include "engine/run/kv_store.h"
#include "tests/support/backends.h"
#include "tests/support/fastgen_simulation.h"

using namespace headroom;

namespace kept_sets_test {
namespace {

using Row = std::vector<float>;

/// f16 keeps these values exactly, so that the simulation sees the keys that the cache holds.
float exact_in_f16(float x) {
  return std::round(x * 64) / 64;
}

/// One KV head and its query group on random q and k, side by side in a KvStore and in the simulation.
class Conversation {
 public:
  Conversation(const std::string& backend_name, const CacheConfig& config, int32_t window, uint64_t seed)
      : random_(seed),
        backend_(test::shared_small_backend(backend_name)),
        model_(make_config(window)),
        store_(model_, backend_, config),
        simulation_(config, window, static_cast<int64_t>(PageLayout{head_dim}.page_bytes())) {}

  void turn(int32_t n_new) {
    const int32_t position0 = store_.n_tokens(), n_total = position0 + n_new;
    std::vector<SlotTag> tags;
    std::vector<TokenClass> classes;
    Row q, k, v;
    for (int32_t i = 0; i < n_new; ++i) {
      classes.push_back(random_class(position0 + i));
      tags.push_back(make_tag(position0 + i, classes.back()));
      add_row(q, n_group * head_dim);
      keys_.emplace_back();
      add_row(keys_.back(), head_dim);
      k.insert(k.end(), keys_.back().begin(), keys_.back().end());
      add_row(v, head_dim);
    }
    const auto held = simulation_.held();
    store_.begin_turn();
    const PrefillMeasures measures = store_.begin_prefill(tags);
    const int32_t n_held = store_.longest_head(0), n_columns = n_held + n_new;
    auto buffer = backend_.allocate(sizeof(float) * static_cast<size_t>(5 * n_group * n_columns));
    int32_t n_placed = 0;
    const auto place = [&](bool wanted, int32_t n_rows) {
      if (!wanted) return Matrix{};
      const Matrix matrix{buffer.get(), int64_t{n_placed} * n_columns, n_rows, n_columns, n_columns};
      n_placed += n_rows;
      backend_.fill_zero(matrix);
      return matrix;
    };
    auto scratch_buffer = backend_.allocate(static_cast<size_t>(2 * n_new * head_dim * 2));
    const KvScratch scratch{scratch_buffer.get(), n_new, head_dim};
    LayerPrefill layer{.layer = 0,
                       .kv = scratch,
                       .measures = measures,
                       .n_held_keys = n_held,
                       .attention_mass = place(measures.attention_mass, n_group),
                       .windowed_mass = place(measures.n_windows > 0, n_group),
                       .recent_mass = place(measures.recent_mass, n_group),
                       .expected_scores_raw = place(measures.expected, n_group),
                       .value_norms = place(measures.expected, 1)};
    auto q_buffer = upload(q), k_buffer = upload(k), v_buffer = upload(v), out_buffer = upload(q);
    backend_.store_kv({k_buffer.get(), 0, n_new, head_dim, head_dim}, {v_buffer.get(), 0, n_new, head_dim, head_dim},
                      scratch, 0);
    const std::vector<HeadView> views = store_.head_views(0);
    const KeepRule local = make_keep_rule(Policy{Policy::local}, n_total, model_.layers[0].window,
                                          store_.config().r_local, store_.config().r_frequent);
    const Matrix all_q{q_buffer.get(), 0, n_new, n_group * head_dim, n_group * head_dim};
    const Matrix all_out{out_buffer.get(), 0, n_new, n_group * head_dim, n_group * head_dim};
    for (int32_t first = 0; first < n_new; first += 50) {
      const int32_t n = std::min(50, n_new - first);
      backend_.attend_prefill({.q = all_q.rows(first, n),
                               .kv = scratch,
                               .held = views,
                               .n_held_columns = n_held,
                               .first_row = first,
                               .position0 = position0,
                               .window = model_.layers[0].window,
                               .head_dim = head_dim,
                               .scale = 1,
                               .out = all_out.rows(first, n),
                               .attention_mass = layer.attention_mass,
                               .windowed_mass = layer.windowed_mass,
                               .recent_mass = layer.recent_mass,
                               .win_tokens = {n_total - local.local_from},
                               .recent_from = n_new - n_recent_rows});
    }
    if (measures.expected) expect(all_q, views, layer);
    store_.compact_layer(layer);
    store_.end_prefill();
    store_.begin_answer();

    std::vector<test::AttentionMap> maps;
    for (int32_t g = 0; g < n_group; ++g) {
      maps.emplace_back();
      for (int32_t i = 0; i < n_new; ++i)
        maps.back().push_back(attend(q.data() + (i * n_group + g) * head_dim, position0 + i, held, position0));
    }
    values_.insert(values_.end(), v.begin(), v.end());
    simulation_.turn(classes, maps, expected_by_position(q, n_new), norms_by_position());
    check();
  }

  void step() {
    const int32_t position = store_.n_tokens();
    const TokenClass token_class = random_class(position);
    Row q, v;
    add_row(q, n_group * head_dim);
    keys_.emplace_back();
    add_row(keys_.back(), head_dim);
    add_row(v, head_dim);
    auto held = simulation_.held();
    auto q_buffer = upload(q), k_buffer = upload(keys_.back()), v_buffer = upload(v), out_buffer = upload(q);
    const auto program = backend_.make_step(
        [&] {
          backend_.attend_decode(0, {q_buffer.get(), 0, 1, n_group * head_dim, n_group * head_dim},
                                 {k_buffer.get(), 0, 1, head_dim, head_dim}, {v_buffer.get(), 0, 1, head_dim, head_dim},
                                 1, {out_buffer.get(), 0, 1, n_group * head_dim, n_group * head_dim});
          backend_.evict(0);
        },
        {});
    store_.begin_step(*program, 0, token_class);
    store_.finish_step({});
    values_.insert(values_.end(), v.begin(), v.end());

    std::vector<double> sum(static_cast<size_t>(position) + 1, 0.0);
    for (int32_t g = 0; g < n_group; ++g) {
      const std::vector<double> a = attend(q.data() + g * head_dim, position, held, position);
      for (size_t j = 0; j < a.size(); ++j) sum[j] += a[j];
    }
    simulation_.step(position, token_class, sum);
    check();
  }

  int64_t live_bytes() const { return store_.caches().pool().live_bytes(); }
  /// A comparison ends at decisions that f32 cannot distinguish.
  bool decidable() const { return simulation_.margin() > 1e-4; }

 private:
  static constexpr int32_t n_group = 3, head_dim = 16;

  static ModelConfig make_config(int32_t window) {
    ModelConfig config;
    config.n_layers = 1;
    config.n_heads = n_group;
    config.n_kv_heads = 1;
    config.head_dim = head_dim;
    config.layers = {{.window = window, .rope_theta = 10000, .rope_scale = 1}};
    return config;
  }

  TokenClass random_class(int32_t position) {
    if (position == 0) return TokenClass::special;
    const unsigned draw = static_cast<unsigned>(random_() % 20);
    return draw == 0 ? TokenClass::special : draw < 4 ? TokenClass::punctuation : TokenClass::plain;
  }

  void add_row(Row& rows, int32_t count) {
    std::normal_distribution<float> normal(0, 0.6f);
    for (int32_t i = 0; i < count; ++i) rows.push_back(exact_in_f16(normal(random_)));
  }

  std::unique_ptr<DeviceBuffer> upload(const Row& row) {
    auto buffer = backend_.allocate(row.size() * sizeof(float));
    backend_.upload(*buffer, 0, std::as_bytes(std::span(row)));
    return buffer;
  }

  /// Probabilities by position over the held tokens and the turn's tokens from first_new to the row itself.
  std::vector<double> attend(const float* q, int32_t position, const std::set<int32_t>& held, int32_t first_new) const {
    const int32_t window = model_.layers[0].window;
    std::vector<double> a(static_cast<size_t>(position) + 1, 0.0);
    double sum = 0;
    for (int32_t j = 0; j <= position; ++j) {
      if (j < first_new && held.count(j) == 0) continue;
      if (window > 0 && position - j >= window) continue;
      double dot = 0;
      for (int32_t d = 0; d < head_dim; ++d)
        dot += static_cast<double>(q[d]) * keys_[static_cast<size_t>(j)][static_cast<size_t>(d)];
      sum += a[static_cast<size_t>(j)] = std::exp(dot);
    }
    for (double& value : a) value /= sum;
    return a;
  }

  /// Expected attention as in a prefill, without RoPE.
  void expect(const Matrix& q, std::span<const HeadView> held, const LayerPrefill& layer) {
    const size_t n_moments = static_cast<size_t>(QueryMoments::values(head_dim));
    Row moments(n_group * n_moments), queries(n_group * head_dim * (head_dim + 1));
    auto moments_buffer = upload(moments);
    backend_.add_query_moments(q, head_dim, {moments_buffer.get()});
    backend_.download(*moments_buffer, 0, std::as_writable_bytes(std::span(moments)));
    for (size_t g = 0; g < n_group; ++g)
      expect_queries(std::span(moments).subspan(g * n_moments, n_moments), head_dim, q.n_rows, RopeStyle::neox, {}, 1,
                     std::span(queries).subspan(g * head_dim * (head_dim + 1), head_dim * (head_dim + 1)));
    auto queries_buffer = upload(queries);
    backend_.expected_attention({.queries = queries_buffer.get(),
                                 .kv = layer.kv,
                                 .n_rows = q.n_rows,
                                 .held = held,
                                 .n_held_columns = layer.n_held_keys,
                                 .head_dim = head_dim,
                                 .logits = layer.expected_scores_raw,
                                 .norms = layer.value_norms});
  }

  /// Expected attention by its definition, over the positions that the simulation holds and the new ones; q: n_new
  /// rows.
  std::vector<double> expected_by_position(const Row& q, int32_t n_new) const {
    const int32_t n_total = simulation_.n_tokens() + n_new, window = model_.layers[0].window;
    const std::set<int32_t> held = simulation_.held();
    std::vector<int32_t> columns;
    for (int32_t j = window > 0 ? std::max(0, n_total - window + 1) : 0; j < n_total; ++j)
      if (j >= simulation_.n_tokens() || held.count(j) == 1) columns.push_back(j);
    std::vector<double> scores(static_cast<size_t>(n_total));
    for (int32_t g = 0; g < n_group; ++g) {
      const auto query = [&](int32_t row, int32_t d) {
        return double{q[static_cast<size_t>((row * n_group + g) * head_dim + d)]};
      };
      double mean[head_dim] = {}, covariance[head_dim][head_dim] = {};
      for (int32_t r = 0; r < n_new; ++r)
        for (int32_t d = 0; d < head_dim; ++d) mean[d] += query(r, d) / n_new;
      for (int32_t r = 0; r < n_new; ++r)
        for (int32_t d = 0; d < head_dim; ++d)
          for (int32_t e = 0; e < head_dim; ++e)
            covariance[d][e] += (query(r, d) - mean[d]) * (query(r, e) - mean[e]) / n_new;
      std::vector<double> weights;
      double sum = 0;
      for (const int32_t j : columns) {
        const Row& key = keys_[static_cast<size_t>(j)];
        double logit = 0;
        for (size_t d = 0; d < head_dim; ++d) {
          logit += mean[d] * key[d];
          for (size_t e = 0; e < head_dim; ++e) logit += key[d] * covariance[d][e] * key[e] / 2;
        }
        weights.push_back(std::exp(logit));
        sum += weights.back();
      }
      for (size_t c = 0; c < columns.size(); ++c) scores[static_cast<size_t>(columns[c])] += weights[c] / sum / n_group;
    }
    const std::vector<double> norms = norms_by_position();
    double total = 0;
    for (const int32_t j : columns) {
      double& score = scores[static_cast<size_t>(j)];
      score = (score + 0.02 / static_cast<double>(columns.size())) * norms[static_cast<size_t>(j)];
      total += score;
    }
    for (double& score : scores) score *= 64 * n_group / total;
    return scores;
  }

  std::vector<double> norms_by_position() const {
    std::vector<double> norms;
    for (size_t first = 0; first < values_.size(); first += head_dim) {
      double squares = 0;
      for (size_t d = 0; d < head_dim; ++d) squares += std::pow(values_[first + d], 2);
      norms.push_back(std::sqrt(squares));
    }
    return norms;
  }

  void check() {
    if (!decidable()) return;
    const HeadCache& head = store_.caches().head(0);
    CHECK(head.policy == simulation_.policy());
    std::set<int32_t> positions;
    for (const SlotTag tag : head.tags) positions.insert(tag_position(tag));
    CHECK(positions.size() == head.tags.size());
    CHECK(positions == simulation_.held());
  }

  std::mt19937_64 random_;
  Backend& backend_;
  ModelConfig model_;
  KvStore store_;
  test::FastGenSimulation simulation_;
  std::vector<Row> keys_;  // by position
  Row values_;             // (positions, head_dim)
};

}  // namespace

TEST_CASE("kept sets equal the simulation after prefill, 64 tokens, and two more turns") {
  const std::string backend = GENERATE("cpu", "cpu-reference", "vulkan-lane", "vulkan-subgroup");
  if (!test::is_there(backend)) return;
  std::vector<std::string> names = cache_config_names();
  names.push_back("mixed");  // a score that only a table chooses
  const std::string name = GENERATE_COPY(from_range(names));
  const int32_t window = GENERATE(0, 40);
  const double threshold = GENERATE(0.95, 0.6, 0.3);
  int n_decidable = 0;
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    CAPTURE(backend, name, window, threshold, seed);
    CacheConfig config = *find_cache_config(name == "mixed" ? "uniform" : name);
    if (name == "mixed") config.score = TokenScore::mixed;
    config.threshold = threshold;
    config.r_local = seed == 1 ? 0.3 : 0.1;
    config.r_frequent = seed == 1 ? 0.3 : 0.2;
    config.group = seed == 1 ? GroupReduce::min : GroupReduce::mean;
    Conversation conversation(backend, config, window, seed);
    conversation.turn(90);
    for (int i = 0; i < 64 && conversation.decidable(); ++i) conversation.step();
    if (conversation.decidable()) conversation.turn(20);  // too short for another choice
    if (conversation.decidable()) conversation.turn(70);
    for (int i = 0; i < 10 && conversation.decidable(); ++i) conversation.step();
    n_decidable += conversation.decidable() ? 1 : 0;
  }
  CHECK(n_decidable >= 1);
}

TEST_CASE("under a bound in bytes kept sets equal the simulation, and the oldest control tokens give way") {
  const std::string backend = GENERATE("cpu", "cpu-reference", "vulkan-lane", "vulkan-subgroup");
  if (!test::is_there(backend)) return;
  const int32_t window = GENERATE(0, 40);
  const int32_t n_pages = GENERATE(2, 3, 5, 8);
  const uint8_t more_parts = GENERATE(uint8_t{0}, uint8_t{Policy::punctuation});
  int n_decidable = 0;
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    CAPTURE(backend, window, n_pages, static_cast<int>(more_parts), seed);
    CacheConfig config = *find_cache_config("headroom");
    config.policy_set.front().parts |= more_parts;
    config.keep = seed == 1 ? 1 : 0.3;
    config.kv_budget_bytes = n_pages * static_cast<int64_t>(PageLayout{16}.page_bytes());
    Conversation conversation(backend, config, window, seed);
    conversation.turn(20);
    for (const int32_t n_new : {40, 20, 90}) {
      for (int i = 0; i < 40 && conversation.decidable(); ++i) {
        conversation.step();
        CHECK(conversation.live_bytes() <= config.kv_budget_bytes);
      }
      if (conversation.decidable()) conversation.turn(n_new);
      CHECK(conversation.live_bytes() <= config.kv_budget_bytes);
    }
    for (int i = 0; i < 70 && conversation.decidable(); ++i) conversation.step();
    n_decidable += conversation.decidable() ? 1 : 0;
  }
  CHECK(n_decidable >= 1);
}

}  // namespace kept_sets_test
