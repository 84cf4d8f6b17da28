// Generates one step: embeds the token, runs every layer over the heads' pages, evicts. See decode.h.
#include "engine/run/decode.h"

#include <utility>

namespace headroom {

TokenClass class_at(const Tokenizer& tokenizer, TokenId id, int32_t position) {
  return position == 0 ? TokenClass::special : tokenizer.token_class(id);
}

std::vector<Eviction> decode(const Model& model, const Forward& forward, KvStore& store, const Activations& row,
                             Matrix x, TokenId id, std::vector<float>& logits) {
  const int32_t position = store.n_tokens();
  store.begin_step(class_at(model.tokenizer(), id, position));
  forward.embed({&id, 1}, x);
  for (int32_t layer = 0; layer < model.config().n_layers; ++layer) {
    forward.project(layer, x, position, row);
    forward.backend().attend_decode(layer, row.q, row.k, row.v, model.config().attention_scale, row.attended);
    forward.backend().evict(layer);
    forward.finish_layer(layer, x, row.attended, row);
  }
  forward.logits(x, row, logits);
  StepReport report = store.finish_step();
  model.file().check_still_whole();
  return std::move(report.evictions);
}

}  // namespace headroom
