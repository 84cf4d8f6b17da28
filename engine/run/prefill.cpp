// Layer-major prefill with head profiles. See prefill.h.
#include "engine/run/prefill.h"

#include <algorithm>
#include <chrono>

#include "engine/base/error.h"

namespace headroom {
namespace {

// Tokens that go through a layer together: enough to pay for unpacking the weights, few enough to stop within 100 ms.
constexpr int32_t block_tokens = 256;

using Clock = std::chrono::steady_clock;
double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// Column sums of one layer, (n_heads, n_columns) each; empty where nothing needs them.
struct Statistics {
  std::unique_ptr<DeviceBuffer> buffer;
  int64_t capacity_columns = 0;
  int32_t n_heads = 0;

  Matrix col(int32_t n_columns) const { return {buffer.get(), 0, n_heads, n_columns, n_columns}; }
  Matrix win(int32_t n_columns) const {
    return {buffer.get(), n_heads * capacity_columns, n_heads, n_columns, n_columns};
  }
};

Statistics make_statistics(const Forward& forward, const KvStore& store, int32_t n_new) {
  if (!store.needs_statistics()) return {};
  int64_t longest = 0;
  for (int32_t layer = 0; layer < forward.config().n_layers; ++layer)
    longest = std::max<int64_t>(longest, store.longest_head(layer));
  const int64_t columns = longest + n_new;
  const int32_t n_heads = forward.config().n_heads;
  return {forward.backend().allocate(static_cast<size_t>(2 * n_heads * columns) * sizeof(float)), columns, n_heads};
}

struct Prefill {
  const Model& model;
  const Forward& forward;
  KvStore& store;
  TurnObserver& observer;
  Backend& backend;
  const ModelConfig& config;
  int32_t n_new;
  int32_t position0;
  std::vector<SlotTag> tags;
  Activations block;
  std::unique_ptr<DeviceBuffer> stream_buffer;  // the residual stream of all new tokens
  Matrix stream;                                // (n_new, n_embd)
  std::unique_ptr<DeviceBuffer> scratch_buffer;
  KvScratch scratch;
  Statistics statistics;
  double profile_ms = 0;

  Prefill(const Model& model_, const Forward& forward_, KvStore& store_, std::span<const TokenId> ids,
          TurnObserver& observer_)
      : model(model_),
        forward(forward_),
        store(store_),
        observer(observer_),
        backend(forward_.backend()),
        config(model_.config()),
        n_new(static_cast<int32_t>(ids.size())),
        position0(store_.n_tokens()),
        block(backend, config, std::min(n_new, block_tokens)),
        statistics(make_statistics(forward_, store_, n_new)) {
    for (int32_t i = 0; i < n_new; ++i)
      tags.push_back(make_tag(position0 + i, class_at(model.tokenizer(), ids[static_cast<size_t>(i)], position0 + i)));
    stream_buffer = backend.allocate(static_cast<size_t>(n_new) * static_cast<size_t>(config.n_embd) * sizeof(float));
    stream = {stream_buffer.get(), 0, n_new, config.n_embd, config.n_embd};
    const size_t scratch_bytes = size_t{2} * static_cast<size_t>(n_new) * static_cast<size_t>(config.kv_dim()) * 2;
    scratch_buffer = backend.allocate(scratch_bytes);
    scratch = {scratch_buffer.get(), n_new, config.kv_dim()};
    store.count_scratch(static_cast<int64_t>(scratch_bytes));
    for (int32_t first = 0; first < n_new; first += block_tokens) {
      const int32_t n = std::min(block_tokens, n_new - first);
      forward.embed(ids.subspan(static_cast<size_t>(first), static_cast<size_t>(n)), stream.rows(first, n));
    }
  }

  void run_layer(int32_t layer) {
    const LayerConfig& layer_config = config.layers[static_cast<size_t>(layer)];
    const int32_t n_held_columns = store.longest_head(layer);
    const int32_t n_columns = n_held_columns + n_new;
    LayerPrefill result{
        .layer = layer, .kv = scratch, .new_tags = tags, .n_held_columns = n_held_columns, .col = {}, .win = {}};
    if (statistics.buffer) {
      result.col = statistics.col(n_columns);
      result.win = statistics.win(n_columns);
      backend.fill_zero(result.col);
      backend.fill_zero(result.win);
    }
    const std::vector<HeadView> held = store.head_views(layer);
    const KeepRule local = make_keep_rule(Policy{Policy::local}, position0 + n_new, layer_config.window,
                                          store.config().r_local, store.config().r_frequent);
    for (int32_t first = 0; first < n_new; first += block_tokens) {
      if (observer.stop_requested()) throw Cancelled{};
      const int32_t n = std::min(block_tokens, n_new - first);
      const Matrix x = stream.rows(first, n);
      forward.project(layer, x, position0 + first, block);
      backend.store_kv(block.k.rows(0, n), block.v.rows(0, n), scratch, first);
      backend.attend_prefill({.q = block.q.rows(0, n),
                              .kv = scratch,
                              .held = held,
                              .n_held_columns = n_held_columns,
                              .first_row = first,
                              .position0 = position0,
                              .window = layer_config.window,
                              .head_dim = config.head_dim,
                              .scale = config.attention_scale,
                              .out = block.attended.rows(0, n),
                              .col = result.col,
                              .win = result.win,
                              .win_tokens = position0 + n_new - local.local_from});
      if (layer + 1 < config.n_layers)
        forward.finish_layer(layer, x, block.attended.rows(0, n), block);
      else if (first + n == n_new)  // of the last layer only the last row is asked for
        forward.finish_layer(layer, x.rows(n - 1, 1), block.attended.rows(n - 1, 1), block);
      report(layer, first + n);
    }
    const auto start = Clock::now();
    store.compact_layer(result);
    profile_ms += ms_since(start);
    model.file().check_still_whole();
  }

  void report(int32_t layer, int32_t rows_done) {
    const double layers_done = layer + static_cast<double>(rows_done) / n_new;
    observer.on_prefill({layer + (rows_done == n_new ? 1 : 0), config.n_layers, n_new, layers_done / config.n_layers});
  }
};

}  // namespace

TokenClass class_at(const Tokenizer& tokenizer, TokenId id, int32_t position) {
  return position == 0 ? TokenClass::special : tokenizer.token_class(id);
}

PrefillTimes prefill(const Model& model, const Forward& forward, KvStore& store, std::span<const TokenId> ids,
                     TurnObserver& observer, std::vector<float>& logits) {
  const auto start = Clock::now();
  Prefill run(model, forward, store, ids, observer);
  for (int32_t layer = 0; layer < model.config().n_layers; ++layer) run.run_layer(layer);
  forward.logits(run.stream.rows(run.n_new - 1, 1), run.block, logits);
  store.end_prefill(run.n_new);
  return {ms_since(start), run.profile_ms};
}

std::vector<Eviction> decode(const Model& model, const Forward& forward, KvStore& store, const Activations& row,
                             Matrix x, TokenId id, std::vector<float>& logits) {
  const ModelConfig& config = model.config();
  const int32_t position = store.n_tokens();
  store.begin_step(class_at(model.tokenizer(), id, position));
  forward.embed({&id, 1}, x);
  for (int32_t layer = 0; layer < config.n_layers; ++layer) {
    forward.project(layer, x, position, row);
    forward.backend().attend_decode(layer, row.q, row.k, row.v, config.attention_scale, row.attended);
    forward.backend().evict(layer);
    forward.finish_layer(layer, x, row.attended, row);
  }
  forward.logits(x, row, logits);
  StepReport report = store.finish_step();
  model.file().check_still_whole();
  return std::move(report.evictions);
}

}  // namespace headroom
