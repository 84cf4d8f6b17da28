// GGUF metadata ─► ModelConfig: the numbers that define a model's mathematics. Every key that changes the mathematics
// is either supported here or refused. The tensors are checked against the result later.
#include <array>
#include <cmath>
#include <cstring>

#include "engine/base/types.h"
#include "engine/model/model_file.h"
#include "engine/model/model_keys.h"
#include "engine/model/refusal.h"
#include "engine/model/type_names.h"

namespace headroom {
namespace {

constexpr int64_t max_embd = 1 << 20, max_ff = 1 << 22, max_heads = 1 << 14, max_head_dim = 512, max_vocab = 1 << 20;

/// The traits of the architecture that the file names.
const ArchitectureTraits& read_architecture(const GgufFile& file) {
  // Files of adapters and image encoders name the architecture of the model that they belong to, so check the type
  // first.
  const std::string type = file.get_string("general.type").value_or("model");
  if (type != "model") refuse_unsupported(file.path(), "metadata key 'general.type'", quoted(type), "'model'");
  const std::optional<std::string> name = file.get_string("general.architecture");
  if (!name) refuse(file.path(), "metadata key 'general.architecture'", "none", "a string");
  const ArchitectureTraits* const traits = find_architecture(*name);
  if (traits == nullptr)
    refuse_unsupported(file.path(), "metadata key 'general.architecture'", quoted(*name), architecture_list("or"));
  return *traits;
}

std::string read_name(const GgufFile& file) {
  const std::string name = file.get_string("general.name").value_or("");
  if (!name.empty()) return name;
  const std::string& path = file.path();
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

int32_t read_vocab_size(const ModelKeys& keys) {
  const GgufValue* tokens = keys.file().find("tokenizer.ggml.tokens");
  if (tokens == nullptr) return keys.required("vocab_size", 1, max_vocab);
  if (tokens->type != GgufType::array || tokens->count < 1 || tokens->count > max_vocab)
    refuse(keys.path(), "metadata key 'tokenizer.ggml.tokens'",
           tokens->type == GgufType::array ? std::to_string(tokens->count) + " tokens" : "no array",
           "an array of 1 to " + std::to_string(max_vocab) + " strings");
  return static_cast<int32_t>(tokens->count);
}

void read_sizes(const ModelKeys& keys, ModelConfig& config) {
  config.n_layers = keys.required("block_count", 1, GgufLimits::max_layers);
  config.n_embd = keys.required("embedding_length", 1, max_embd);
  config.n_ff = keys.uniform("feed_forward_length", 1, max_ff, std::nullopt, config.n_layers);
  config.n_ctx_train = keys.required("context_length", 1, max_position);
  config.n_vocab = read_vocab_size(keys);
  config.n_heads = keys.uniform("attention.head_count", 1, max_heads, std::nullopt, config.n_layers);
  config.n_kv_heads = keys.uniform("attention.head_count_kv", 1, max_heads, config.n_heads, config.n_layers);
  if (config.n_heads % config.n_kv_heads != 0)
    refuse(keys.path(), keys.field("attention.head_count_kv"), std::to_string(config.n_kv_heads),
           "a divisor of the " + std::to_string(config.n_heads) + " query heads");
  if (!keys.has("attention.key_length") && config.n_embd % config.n_heads != 0)
    refuse(keys.path(), keys.field("attention.head_count"), std::to_string(config.n_heads),
           "a divisor of the embedding length " + std::to_string(config.n_embd));
  const int32_t usual_head_dim = config.n_embd / config.n_heads;
  config.head_dim = keys.optional("attention.key_length", 1, max_head_dim, usual_head_dim);
  if (config.head_dim % 2 != 0)
    refuse(keys.path(), keys.field("attention.key_length"), std::to_string(config.head_dim), "an even number");
  const int32_t value_length = keys.optional("attention.value_length", 1, max_head_dim, usual_head_dim);
  if (value_length != config.head_dim)
    refuse_unsupported(keys.path(), keys.field("attention.value_length"), std::to_string(value_length),
                       "the key length " + std::to_string(config.head_dim));
}

// rope.scaling.type "linear" divides positions by the factor; a missing type means "linear".
float read_rope_scale(const ModelKeys& keys) {
  const std::string type = keys.file().get_string(keys.key("rope.scaling.type")).value_or("linear");
  if (type != "none" && type != "linear")
    refuse_unsupported(keys.path(), keys.field("rope.scaling.type"), quoted(type), "'none' or 'linear'");
  const std::optional<float> factor =
      keys.has("rope.scaling.factor") ? keys.positive("rope.scaling.factor") : keys.positive("rope.scale_linear");
  return type == "none" ? 1.0f : 1.0f / factor.value_or(1.0f);
}

void read_rope(const ModelKeys& keys, ModelConfig& config) {
  config.rope_style = config.traits().rope_style;
  config.n_rot = keys.optional("rope.dimension_count", 2, config.head_dim, config.head_dim);
  if (config.n_rot % 2 != 0)
    refuse(keys.path(), keys.field("rope.dimension_count"), std::to_string(config.n_rot), "an even number");
  // Converters permute the rows of Q and K; how they do it is known only if RoPE rotates whole heads.
  if (config.rope_style == RopeStyle::interleaved && config.n_rot != config.head_dim)
    refuse_unsupported(keys.path(), keys.field("rope.dimension_count"), std::to_string(config.n_rot),
                       "the head dimension " + std::to_string(config.head_dim));
  const LayerConfig usual{.rope_theta = keys.positive("rope.freq_base").value_or(10000.0f),
                          .rope_scale = read_rope_scale(keys)};
  config.layers.assign(static_cast<size_t>(config.n_layers), usual);
}

// True for layers with a sliding window. The key is a number n (every n-th layer is global) or an array with one flag
// per layer.
std::vector<bool> read_window_pattern(const ModelKeys& keys, const ModelConfig& config) {
  const size_t n_layers = config.layers.size();
  const GgufValue* value = keys.file().find(keys.key("attention.sliding_window_pattern"));
  std::vector<bool> is_local(n_layers);
  if (value != nullptr && value->type == GgufType::array) {
    if (value->count != n_layers)
      refuse(keys.path(), keys.field("attention.sliding_window_pattern"), std::to_string(value->count) + " values",
             "one for each of the " + std::to_string(n_layers) + " layers");
    const std::vector<int64_t> flags = *keys.file().get_ints(keys.key("attention.sliding_window_pattern"));
    for (size_t layer = 0; layer < n_layers; ++layer) is_local[layer] = flags[layer] != 0;
    return is_local;
  }
  const int32_t every = keys.optional("attention.sliding_window_pattern", 0, GgufLimits::max_layers,
                                      config.traits().window_rule == WindowRule::five_of_six ? 6 : 0);
  for (size_t layer = 0; layer < n_layers; ++layer)
    is_local[layer] = every == 0 || (layer + 1) % static_cast<size_t>(every) != 0;
  return is_local;
}

void read_windows(const ModelKeys& keys, ModelConfig& config) {
  const std::optional<int64_t> found = keys.file().get_int(keys.key("attention.sliding_window"));
  if (found.value_or(0) == 0) return;
  const std::optional<bool> in_use = keys.file().get_bool(keys.key("use_sliding_window"));
  if (in_use == false) return;
  const int32_t window = keys.optional("attention.sliding_window", 2, max_position, 0);
  const WindowRule rule = config.traits().window_rule;
  if (rule != WindowRule::five_of_six && window >= config.n_ctx_train) return;
  // Qwen 2 files contain a window that the model's own configuration disables.
  if (rule == WindowRule::every_layer_if_said && !in_use)
    refuse_unsupported(keys.path(), keys.field("attention.sliding_window"),
                       std::to_string(window) + " without " + quoted(keys.key("use_sliding_window")),
                       "that key to say whether the window is in use");
  const std::vector<bool> is_local = read_window_pattern(keys, config);
  const float local_theta = keys.positive("rope.freq_base_swa").value_or(10000.0f);
  for (size_t layer = 0; layer < config.layers.size(); ++layer) {
    if (!is_local[layer]) continue;
    config.layers[layer].window = window;
    if (rule != WindowRule::five_of_six) continue;
    // In such models the local layers have their own base frequency, and linear scaling applies only to global layers.
    config.layers[layer].rope_theta = local_theta;
    config.layers[layer].rope_scale = 1;
  }
}

void read_scales(const ModelKeys& keys, ModelConfig& config) {
  const ArchitectureTraits& traits = config.traits();
  config.activation = traits.activation;
  const std::string expected_activation = config.activation == Activation::silu ? "silu" : "gelu_pytorch_tanh";
  const std::string activation = keys.file().get_string(keys.key("hidden_activation")).value_or(expected_activation);
  if (activation != expected_activation)
    refuse_unsupported(keys.path(), keys.field("hidden_activation"), quoted(activation), quoted(expected_activation));

  const std::optional<float> eps = keys.positive("attention.layer_norm_rms_epsilon");
  if (!eps || *eps > 1)
    refuse(keys.path(), keys.field("attention.layer_norm_rms_epsilon"), eps ? std::to_string(*eps) : "none or 0",
           "a number above 0 and at most 1");
  config.rms_eps = *eps;

  const float usual_embedding_scale = traits.scales_embedding ? std::sqrt(static_cast<float>(config.n_embd)) : 1.0f;
  config.embedding_scale = keys.positive("embedding_scale").value_or(usual_embedding_scale);

  // Only the largest Gemma 3 divides by sqrt(n_embd / n_heads). It is recognised by its number of layers.
  const bool is_wide = config.n_layers == traits.n_layers_with_wide_scale;
  const int32_t scale_dim = is_wide ? config.n_embd / config.n_heads : config.head_dim;
  config.attention_scale = keys.positive("attention.scale").value_or(1.0f / std::sqrt(static_cast<float>(scale_dim)));
}

// tensor_data_layout says whether the rows of Q and K are permuted for interleaved RoPE.
void check_layout(const ModelKeys& keys, const ModelConfig& config) {
  const std::optional<std::string> layout = keys.file().get_string(keys.key("tensor_data_layout"));
  const std::string expected = config.rope_style == RopeStyle::interleaved ? "Meta AI original pth" : "reference";
  if (layout && *layout != expected)
    refuse_unsupported(keys.path(), keys.field("tensor_data_layout"), quoted(*layout), quoted(expected));
}

// Reads the divisors of RoPE's frequencies, a tensor that Llama 3 uses for long contexts. If the architecture has no
// such tensor, TensorPicker refuses it later.
void read_rope_factors(const ModelKeys& keys, ModelConfig& config) {
  const GgufFile::Tensor* tensor = keys.file().find_tensor("rope_freqs.weight");
  if (tensor == nullptr || !config.traits().has_rope_factors) return;
  const std::string field = "tensor 'rope_freqs.weight'";
  const int64_t n_factors = config.n_rot / 2;
  if (tensor->ggml_type != static_cast<uint32_t>(TensorType::f32))
    refuse_unsupported(keys.path(), field, "type " + tensor_type_name(tensor->ggml_type), "F32");
  if (tensor->dims != std::vector<int64_t>{n_factors})
    refuse(keys.path(), field,
           std::to_string(tensor->bytes.size() / sizeof(float)) + " values in " + std::to_string(tensor->dims.size()) +
               " dimensions",
           std::to_string(n_factors) + " in one");
  config.rope_factors.resize(static_cast<size_t>(n_factors));
  std::memcpy(config.rope_factors.data(), tensor->bytes.data(), tensor->bytes.size());
  for (const float factor : config.rope_factors)
    if (!std::isnormal(factor) || factor < 0)
      refuse(keys.path(), field, std::to_string(factor), "finite numbers above 0");
}

}  // namespace

ModelConfig read_model_config(const GgufFile& file) {
  ModelConfig config;
  config.architecture = read_architecture(file).architecture;
  config.name = read_name(file);
  const ModelKeys keys(file, std::string(config.traits().name));
  keys.refuse_what_is_not_honoured();
  read_sizes(keys, config);
  read_rope(keys, config);
  read_windows(keys, config);
  read_scales(keys, config);
  check_layout(keys, config);
  read_rope_factors(keys, config);
  return config;
}

}  // namespace headroom
