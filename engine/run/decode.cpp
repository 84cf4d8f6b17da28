// Generates one step: embeds the token, runs every layer over the heads' pages, evicts. See decode.h.
#include "engine/run/decode.h"

#include <utility>

namespace headroom {

TokenClass class_at(const Tokenizer& tokenizer, TokenId id, int32_t position) {
  return position == 0 ? TokenClass::special : tokenizer.token_class(id);
}

Decoder::Decoder(const Model& model, const Forward& forward)
    : model_(model),
      forward_(forward),
      row_(forward.backend(), model.config(), 1),
      residual_(forward.backend().allocate(static_cast<size_t>(model.config().n_embd) * sizeof(float))),
      program_(forward.backend().make_step([this] { ask_for_operations(); }, forward.logits_row())) {}

void Decoder::ask_for_operations() const {
  const ModelConfig& config = model_.config();
  Backend& backend = forward_.backend();
  const Matrix x{residual_.get(), 0, 1, config.n_embd, config.n_embd};
  forward_.embed_token(x);
  for (int32_t layer = 0; layer < config.n_layers; ++layer) {
    forward_.project_token(layer, x, row_);
    backend.attend_decode(layer, row_.q, row_.k, row_.v, config.attention_scale, row_.attended);
    backend.evict(layer);
    forward_.finish_layer(layer, x, row_.attended, row_);
  }
  forward_.compute_logits(x, row_);
}

std::vector<Eviction> Decoder::run(KvStore& store, TokenId id, std::vector<float>& logits) {
  store.begin_step(*program_, id, class_at(model_.tokenizer(), id, store.n_tokens()));
  logits.resize(static_cast<size_t>(model_.config().n_vocab));
  StepReport report = store.finish_step(logits);
  model_.file().check_still_whole();
  return std::move(report.evictions);
}

}  // namespace headroom
