// The accepted keys of a model's metadata, in three lists: keys that read_model_config reads, keys without effect on
// the mathematics, and keys that are accepted only with a neutral value. Any other key is refused, because a model with
// an unknown setting would compute something else here than where it was made.
#include "engine/model/model_keys.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "engine/model/refusal.h"

namespace headroom {
namespace {

constexpr std::array honoured_keys{
    std::string_view("block_count"),
    std::string_view("embedding_length"),
    std::string_view("feed_forward_length"),
    std::string_view("context_length"),
    std::string_view("vocab_size"),
    std::string_view("embedding_scale"),
    std::string_view("hidden_activation"),
    std::string_view("tensor_data_layout"),
    std::string_view("use_sliding_window"),
    std::string_view("attention.head_count"),
    std::string_view("attention.head_count_kv"),
    std::string_view("attention.key_length"),
    std::string_view("attention.value_length"),
    std::string_view("attention.layer_norm_rms_epsilon"),
    std::string_view("attention.scale"),
    std::string_view("attention.sliding_window"),
    std::string_view("attention.sliding_window_pattern"),
    std::string_view("rope.dimension_count"),
    std::string_view("rope.freq_base"),
    std::string_view("rope.freq_base_swa"),
    std::string_view("rope.scale_linear"),
    std::string_view("rope.scaling.type"),
    std::string_view("rope.scaling.factor"),
};

// Notes on how the model was made, and parameters of RoPE scaling methods. If such a method is in use,
// rope.scaling.type is refused.
constexpr std::array harmless_keys{
    std::string_view("pooling_type"),
    std::string_view("rope.scaling.original_context_length"),
    std::string_view("rope.scaling.finetuned"),
    std::string_view("rope.scaling.yarn_log_multiplier"),
    std::string_view("rope.scaling.yarn_ext_factor"),
    std::string_view("rope.scaling.yarn_attn_factor"),
    std::string_view("rope.scaling.yarn_beta_fast"),
    std::string_view("rope.scaling.yarn_beta_slow"),
};

// Keys of an image encoder in the same file, which text does not use.
constexpr std::array harmless_groups{std::string_view("vision."), std::string_view("mm.")};

struct NeutralKey {
  std::string_view suffix;
  double value;                // the number (false is 0) that does not change the mathematics
  bool zero_is_unset = false;  // true: 0 does not change it either
};

constexpr std::array neutral_keys{
    NeutralKey{"attn_logit_softcapping", 0},
    NeutralKey{"final_logit_softcapping", 0},
    NeutralKey{"router_logit_softcapping", 0},
    NeutralKey{"logit_scale", 1, true},
    NeutralKey{"residual_scale", 1, true},
    NeutralKey{"expert_count", 0},
    NeutralKey{"expert_used_count", 0},
    NeutralKey{"expert_shared_count", 0},
    NeutralKey{"expert_group_count", 0},
    NeutralKey{"expert_group_used_count", 0},
    NeutralKey{"expert_feed_forward_length", 0},
    NeutralKey{"expert_shared_feed_forward_length", 0},
    NeutralKey{"leading_dense_block_count", 0},
    NeutralKey{"nextn_predict_layers", 0},
    NeutralKey{"use_parallel_residual", 0},
    NeutralKey{"swin_norm", 0},
    NeutralKey{"attention.causal", 1},
    NeutralKey{"attention.max_alibi_bias", 0},
    NeutralKey{"attention.clamp_kqv", 0},
    NeutralKey{"attention.q_lora_rank", 0},
    NeutralKey{"attention.kv_lora_rank", 0},
    NeutralKey{"attention.output_scale", 1, true},
    NeutralKey{"attention.value_scale", 1, true},
    NeutralKey{"attention.temperature_length", 0},
    NeutralKey{"attention.temperature_scale", 0},
    NeutralKey{"attention.shared_kv_layers", 0},
    NeutralKey{"rope.scaling.attn_factor", 1, true},
    NeutralKey{"rope.scaling.alpha", 0},
};

template <size_t n>
bool contains(const std::array<std::string_view, n>& list, std::string_view suffix) {
  return std::find(list.begin(), list.end(), suffix) != list.end();
}

std::string plain_number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%g", value);
  return text;
}

double number_or_bool(const GgufFile& file, const std::string& key, GgufType type) {
  if (type == GgufType::boolean) return *file.get_bool(key) ? 1 : 0;
  if (type == GgufType::f32 || type == GgufType::f64) return *file.get_float(key);
  return static_cast<double>(*file.get_int(key));
}

}  // namespace

std::string ModelKeys::field(std::string_view suffix) const {
  return "metadata key " + quoted(key(suffix));
}

int32_t ModelKeys::checked(std::string_view suffix, int64_t value, int64_t least, int64_t most) const {
  if (value < least || value > most)
    refuse(path(), field(suffix), std::to_string(value), std::to_string(least) + " to " + std::to_string(most));
  return static_cast<int32_t>(value);
}

int32_t ModelKeys::required(std::string_view suffix, int64_t least, int64_t most) const {
  const std::optional<int64_t> value = file_.get_int(key(suffix));
  if (!value) refuse(path(), field(suffix), "none", "an integer");
  return checked(suffix, *value, least, most);
}

int32_t ModelKeys::optional(std::string_view suffix, int64_t least, int64_t most, int64_t otherwise) const {
  return checked(suffix, file_.get_int(key(suffix)).value_or(otherwise), least, most);
}

int32_t ModelKeys::uniform(std::string_view suffix, int64_t least, int64_t most, std::optional<int64_t> otherwise,
                           int32_t n_layers) const {
  const GgufValue* value = file_.find(key(suffix));
  if (value == nullptr && otherwise) return checked(suffix, *otherwise, least, most);
  if (value == nullptr || value->type != GgufType::array) return required(suffix, least, most);
  if (value->count != static_cast<uint64_t>(n_layers))
    refuse(path(), field(suffix), std::to_string(value->count) + " values",
           "one for each of the " + std::to_string(n_layers) + " layers");
  const std::vector<int64_t> numbers = *file_.get_ints(key(suffix));
  for (const int64_t number : numbers) {
    if (number != numbers.front())
      refuse_unsupported(path(), field(suffix),
                         "both " + std::to_string(numbers.front()) + " and " + std::to_string(number),
                         "the same number for all layers");
  }
  return checked(suffix, numbers.front(), least, most);
}

std::optional<float> ModelKeys::positive(std::string_view suffix) const {
  const std::optional<double> value = file_.get_float(key(suffix));
  if (!value || *value == 0) return std::nullopt;
  const auto number = static_cast<float>(*value);
  if (!std::isnormal(number) || number < 0)
    refuse(path(), field(suffix), plain_number(*value), "a finite number above 0");
  return number;
}

void ModelKeys::refuse_what_is_not_honoured() const {
  for (auto entry = file_.metadata().lower_bound(prefix_); entry != file_.metadata().end(); ++entry) {
    const auto& [name, value] = *entry;
    if (name.compare(0, prefix_.size(), prefix_) != 0) break;
    const std::string_view suffix = std::string_view(name).substr(prefix_.size());
    if (contains(honoured_keys, suffix) || contains(harmless_keys, suffix)) continue;
    const bool in_harmless_group =
        std::any_of(harmless_groups.begin(), harmless_groups.end(),
                    [&](std::string_view group) { return suffix.substr(0, group.size()) == group; });
    if (in_harmless_group) continue;
    const auto neutral = std::find_if(neutral_keys.begin(), neutral_keys.end(),
                                      [&](const NeutralKey& candidate) { return candidate.suffix == suffix; });
    if (neutral == neutral_keys.end()) refuse_unsupported(path(), field(suffix), "an unknown key", "only known keys");
    const double number = number_or_bool(file_, name, value.type);
    if (number != neutral->value && !(number == 0 && neutral->zero_is_unset))
      refuse_unsupported(path(), field(suffix), plain_number(number),
                         plain_number(neutral->value) + ", the only supported value");
  }
}

}  // namespace headroom
