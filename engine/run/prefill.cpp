// Layer-major prefill with head profiles. See prefill.h.
#include "engine/run/prefill.h"

#include <algorithm>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/kv/expected_attention.h"
#include "engine/kv/keep_plan.h"
#include "engine/run/decode.h"

namespace headroom {
namespace {

static_assert(max_win_sums == solved_shares.size());

// Tokens that go through a layer together: enough to pay for unpacking the weights, few enough to stop within 100 ms.
constexpr int32_t block_tokens = 256;
// The residual stream lies in buffers of so many tokens: one for all of them could be larger than what a shader reaches
// on a device with small limits (128 MiB, which is 8192 tokens of 4096 values).
constexpr int32_t stream_tokens = 8 * block_tokens;

/// What a layer's prefill measures, matrices of (…, keys) in one buffer; empty if nothing is needed.
class Statistics {
 public:
  Statistics(const Forward& forward, const KvStore& store, const PrefillMeasures& measures, int32_t n_new)
      : measures_(measures), n_heads_(forward.config().n_heads), n_kv_heads_(forward.config().n_kv_heads) {
    if (!measures_.any()) return;
    int64_t longest = 0;
    for (int32_t layer = 0; layer < forward.config().n_layers; ++layer)
      longest = std::max<int64_t>(longest, store.longest_head(layer));
    int64_t n_rows = measures_.expected ? n_heads_ + n_kv_heads_ : 0;
    if (measures_.recent_mass) n_rows += n_heads_;
    if (measures_.attention_mass) n_rows += n_heads_ * (1 + measures_.n_windows);
    buffer_ = forward.backend().allocate(static_cast<size_t>(n_rows * (longest + n_new)) * sizeof(float));
  }

  const PrefillMeasures& measures() const { return measures_; }

  /// Places the matrices of a layer in the buffer, zeros where sums are added up.
  void begin_layer(Backend& backend, int32_t n_keys, LayerPrefill& layer) const {
    int64_t offset = 0;
    const auto place = [&](bool wanted, Matrix& matrix, int32_t n_rows, bool adds_up) {
      if (!wanted) return;
      matrix = {buffer_.get(), offset, n_rows, n_keys, n_keys};
      offset += int64_t{n_rows} * n_keys;
      if (adds_up) backend.fill_zero(matrix);
    };
    place(measures_.attention_mass, layer.attention_mass, n_heads_, true);
    place(measures_.attention_mass && measures_.n_windows > 0, layer.windowed_mass, n_heads_ * measures_.n_windows,
          true);
    place(measures_.recent_mass, layer.recent_mass, n_heads_, true);
    place(measures_.expected, layer.expected_scores_raw, n_heads_, false);
    place(measures_.expected, layer.value_norms, n_kv_heads_, false);
  }

 private:
  PrefillMeasures measures_;
  std::unique_ptr<DeviceBuffer> buffer_;
  int32_t n_heads_;
  int32_t n_kv_heads_;
};

/// Moments of a layer's queries, and what is expected from them.
class Expectation {
 public:
  Expectation(const Forward& forward, bool wanted) : forward_(forward) {
    if (!wanted) return;
    moments_.resize(static_cast<size_t>(config().n_heads) * moment_values());
    queries_.resize(static_cast<size_t>(config().n_heads) * query_values());
    moments_buffer_ = backend().allocate(moments_.size() * sizeof(float));
    queries_buffer_ = backend().allocate(queries_.size() * sizeof(float));
  }

  bool is_wanted() const { return moments_buffer_ != nullptr; }

  void begin_layer() { n_added_ = 0; }

  /// The queries of some rows of the layer, before RoPE.
  void add(Matrix q) {
    // The first row is near enough to the mean to keep the digits of the variance.
    if (n_added_ == 0) backend().begin_query_moments(q.rows(0, 1), config().head_dim, {moments_buffer_.get()});
    n_added_ += q.n_rows;
    backend().add_query_moments(q, config().head_dim, {moments_buffer_.get()});
  }

  /// After all queries were added: fills the layer's expected scores and value norms.
  void finish_layer(int32_t layer, int32_t next_position, std::span<const HeadView> held, int32_t n_new,
                    const LayerPrefill& to) {
    backend().download(*moments_buffer_, 0, std::as_writable_bytes(std::span(moments_)));
    const std::span<const MeanRotation> rotations = rotations_of(layer, next_position);
    for (size_t h = 0; h < static_cast<size_t>(config().n_heads); ++h)
      expect_queries(std::span(moments_).subspan(h * moment_values(), moment_values()), config().head_dim, n_added_,
                     config().rope_style, rotations, config().attention_scale,
                     std::span(queries_).subspan(h * query_values(), query_values()));
    backend().upload(*queries_buffer_, 0, std::as_bytes(std::span(queries_)));
    backend().expected_attention({.queries = queries_buffer_.get(),
                                  .kv = to.kv,
                                  .n_rows = n_new,
                                  .held = held,
                                  .n_held_columns = to.n_held_keys,
                                  .head_dim = config().head_dim,
                                  .logits = to.expected_scores_raw,
                                  .norms = to.value_norms});
  }

 private:
  const ModelConfig& config() const { return forward_.config(); }
  Backend& backend() const { return forward_.backend(); }
  size_t query_values() const {
    return static_cast<size_t>(config().head_dim) * (static_cast<size_t>(config().head_dim) + 1);
  }
  size_t moment_values() const { return static_cast<size_t>(QueryMoments::values(config().head_dim)); }

  /// Few layers differ in their frequencies: each kind is averaged once.
  std::span<const MeanRotation> rotations_of(int32_t layer, int32_t next_position) {
    const std::span<const float> frequencies = forward_.rope_frequencies(layer);
    for (const auto& [known, rotations] : rotations_)
      if (std::equal(known.begin(), known.end(), frequencies.begin(), frequencies.end())) return rotations;
    rotations_.emplace_back(frequencies, mean_rotations(frequencies, next_position));
    return rotations_.back().second;
  }

  const Forward& forward_;
  std::vector<float> moments_, queries_;
  int32_t n_added_ = 0;  // rows of the layer
  std::vector<std::pair<std::span<const float>, std::vector<MeanRotation>>> rotations_;
  std::unique_ptr<DeviceBuffer> moments_buffer_, queries_buffer_;
};

std::vector<SlotTag> tags_of(const Model& model, std::span<const TokenId> ids, int32_t position0) {
  std::vector<SlotTag> tags;
  for (size_t i = 0; i < ids.size(); ++i) {
    const int32_t position = position0 + static_cast<int32_t>(i);
    tags.push_back(make_tag(position, class_at(model.tokenizer(), ids[i], position)));
  }
  return tags;
}

/// What the configuration needs or, if the measurements are recorded, everything.
PrefillMeasures begin_measuring(KvStore& store, std::span<const SlotTag> tags, const PrefillPart& part) {
  const PrefillMeasures needed = store.begin_prefill(tags, part.rows);
  if (part.record == nullptr) return needed;
  *part.record = {.tags = {tags.begin(), tags.end()}, .layers = {}};
  return all_measures();
}

struct Prefill {
  const Model& model;
  const Forward& forward;
  KvStore& store;
  TurnObserver& observer;
  Backend& backend;
  const ModelConfig& config;
  PrefillPart part;
  int32_t n_new;
  int32_t position0;
  std::vector<SlotTag> tags;
  Activations block;
  std::vector<std::unique_ptr<DeviceBuffer>> stream_buffers;  // the residual stream of all new tokens, f32
  std::unique_ptr<DeviceBuffer> scratch_buffer;
  KvScratch scratch;
  Statistics statistics;
  Expectation expectation;
  double profile_ms = 0;

  Prefill(const Model& model_, const Forward& forward_, KvStore& store_, std::span<const TokenId> ids,
          const PrefillPart& part_, TurnObserver& observer_)
      : model(model_),
        forward(forward_),
        store(store_),
        observer(observer_),
        backend(forward_.backend()),
        config(model_.config()),
        part(part_),
        n_new(static_cast<int32_t>(ids.size())),
        position0(store_.n_tokens()),
        tags(tags_of(model_, ids, store_.n_tokens())),
        block(backend, config, std::min(n_new, block_tokens)),
        statistics(forward_, store_, begin_measuring(store_, tags, part_), n_new),
        expectation(forward_, statistics.measures().expected) {
    for (int32_t first = 0; first < n_new; first += stream_tokens)
      stream_buffers.push_back(backend.allocate(static_cast<size_t>(std::min(stream_tokens, n_new - first)) *
                                                static_cast<size_t>(config.n_embd) * sizeof(float)));
    const size_t scratch_bytes = size_t{2} * static_cast<size_t>(n_new) * static_cast<size_t>(config.kv_dim()) * 2;
    scratch_buffer = backend.allocate(scratch_bytes);
    scratch = {scratch_buffer.get(), n_new, config.kv_dim()};
    store.count_scratch(static_cast<int64_t>(scratch_bytes));
    for (int32_t first = 0; first < n_new; first += block_tokens) {
      const int32_t n = std::min(block_tokens, n_new - first);
      forward.embed(ids.subspan(static_cast<size_t>(first), static_cast<size_t>(n)), stream(first, n));
    }
  }

  /// Rows of the residual stream, all of one block.  (n, n_embd)
  Matrix stream(int32_t first, int32_t n) const {
    const int64_t offset = int64_t{first % stream_tokens} * config.n_embd;
    return {stream_buffers[static_cast<size_t>(first / stream_tokens)].get(), offset, n, config.n_embd, config.n_embd};
  }

  void run_layer(int32_t layer) {
    const int32_t n_held_keys = store.longest_head(layer);
    LayerPrefill result{.layer = layer, .kv = scratch, .measures = statistics.measures(), .n_held_keys = n_held_keys};
    statistics.begin_layer(backend, n_held_keys + n_new, result);
    if (expectation.is_wanted()) expectation.begin_layer();
    const std::vector<HeadView> held = store.head_views(layer);
    // Skips the attention sinks in the moments, unless the prompt has only those.
    const int32_t n_skipped = n_new > n_skipped_queries ? std::max(0, n_skipped_queries - position0) : 0;
    for (int32_t first = 0; first < n_new; first += block_tokens) {
      if (observer.stop_requested()) throw Cancelled{};
      const int32_t n = std::min(block_tokens, n_new - first);
      const Matrix x = stream(first, n);
      const int32_t n_left_out = std::max(0, n_skipped - first);
      forward.project(layer, x, position0 + first, block, [&](Matrix q) {
        if (expectation.is_wanted() && n_left_out < n) expectation.add(q.rows(n_left_out, n - n_left_out));
      });
      backend.store_kv(block.k.rows(0, n), block.v.rows(0, n), scratch, first);
      attend(layer, first, n, held, result);
      if (layer + 1 < config.n_layers)
        forward.finish_layer(layer, x, block.attended.rows(0, n), block);
      else if (first + n == n_new && part.n_after == 0)  // of the last layer only the last row is asked for
        forward.finish_layer(layer, x.rows(n - 1, 1), block.attended.rows(n - 1, 1), block);
      report(layer, first + n);
    }
    const auto start = Clock::now();
    if (expectation.is_wanted()) expectation.finish_layer(layer, position0 + n_new, held, n_new, result);
    LayerMeasurements measured = store.compact_layer(result);
    if (part.record != nullptr) part.record->layers.push_back(std::move(measured));
    profile_ms += ms_since(start);
    model.file().check_still_whole();
  }

  void attend(int32_t layer, int32_t first, int32_t n, std::span<const HeadView> held, const LayerPrefill& sums) {
    const int32_t window = config.layers[static_cast<size_t>(layer)].window;
    AttendPrefill args{.q = block.q.rows(0, n),
                       .kv = scratch,
                       .held = held,
                       .n_held_columns = sums.n_held_keys,
                       .first_row = first,
                       .position0 = position0,
                       .window = window,
                       .head_dim = config.head_dim,
                       .scale = config.attention_scale,
                       .out = block.attended.rows(0, n),
                       .attention_mass = sums.attention_mass,
                       .windowed_mass = sums.windowed_mass,
                       .recent_mass = sums.recent_mass,
                       .n_win = statistics.measures().n_windows,
                       .recent_from = n_new - n_recent_rows};
    for (size_t w = 0; w < args.win_tokens.size(); ++w) {
      const KeepRule local =
          make_keep_rule(Policy{Policy::local}, position0 + n_new, window, statistics.measures().window_shares[w], 0);
      args.win_tokens[w] = position0 + n_new - local.local_from;
    }
    backend.attend_prefill(args);
  }

  /// Of the whole turn: a part counts by its rows.
  void report(int32_t layer, int32_t rows_done) {
    const int64_t n_turn = int64_t{part.n_before} + n_new + part.n_after;
    const int64_t done = int64_t{part.n_before} * config.n_layers + int64_t{layer} * n_new + rows_done;
    observer.on_prefill({static_cast<int32_t>(done / n_turn), config.n_layers, static_cast<int32_t>(n_turn),
                         static_cast<double>(done) / static_cast<double>(n_turn * config.n_layers)});
  }
};

}  // namespace

PrefillTimes prefill(const Model& model, const Forward& forward, KvStore& store, std::span<const TokenId> ids,
                     const PrefillPart& part, TurnObserver& observer, std::vector<float>& logits) {
  const auto start = Clock::now();
  Prefill run(model, forward, store, ids, part, observer);
  for (int32_t layer = 0; layer < model.config().n_layers; ++layer) run.run_layer(layer);
  if (part.n_after == 0) forward.logits(run.stream(run.n_new - 1, 1), run.block, logits);
  store.end_prefill();
  return {ms_since(start), run.profile_ms};
}

}  // namespace headroom
