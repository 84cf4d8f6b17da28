// read_model_config: every key that changes the computation is used or refused. The oracle is the definition of each
// architecture, written out by hand.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "engine/model/model_file.h"
#include "tests/model/refusal.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;

namespace config_test {
namespace {

ModelConfig config_of(const GgufWriter& writer) {
  const Bytes bytes = writer.bytes();
  return read_model_config(GgufFile::from_bytes(bytes, "folder/test.gguf"));
}

std::string refusal(const GgufWriter& writer) {
  return sentence_of([&] { config_of(writer); });
}

// A tiny llama with one key changed.
template <typename T>
GgufWriter llama_with(const std::string& suffix, const T& value) {
  return make_tiny_model(Architecture::llama).set("llama." + suffix, value);
}

template <typename T>
GgufWriter gemma_with(const std::string& suffix, const T& value) {
  return make_tiny_model(Architecture::gemma3).set("gemma3." + suffix, value);
}

std::vector<int32_t> windows(const ModelConfig& config) {
  std::vector<int32_t> list;
  for (const LayerConfig& layer : config.layers) list.push_back(layer.window);
  return list;
}

}  // namespace

TEST_CASE("llama: sizes from the keys, neighbouring pairs, SiLU") {
  const ModelConfig config = config_of(make_tiny_model(Architecture::llama));
  CHECK(config.architecture == Architecture::llama);
  CHECK(config.traits().name == "llama");
  CHECK(config.name == "tiny llama");
  CHECK(config.n_layers == 2);
  CHECK(config.n_embd == 64);
  CHECK(config.n_ff == 96);
  CHECK(config.n_heads == 4);
  CHECK(config.n_kv_heads == 2);
  CHECK(config.head_dim == 16);
  CHECK(config.n_rot == 16);
  CHECK(config.n_vocab == 256 + 12 + 3);
  CHECK(config.n_ctx_train == 4096);
  CHECK(config.rope_style == RopeStyle::interleaved);
  CHECK(config.activation == Activation::silu);
  CHECK(config.rms_eps == 1e-6f);
  CHECK(config.embedding_scale == 1);
  CHECK(config.attention_scale == 0.25f);
  REQUIRE(config.layers.size() == 2);
  CHECK(config.layers[1].window == 0);
  CHECK(config.layers[1].rope_theta == 10000);
  CHECK(config.layers[1].rope_scale == 1);
  CHECK(config.rope_factors.empty());
}

TEST_CASE("qwen2: NeoX; gemma3: NeoX, GELU, windows, the scale of the embedding") {
  CHECK(config_of(make_tiny_model(Architecture::qwen2)).rope_style == RopeStyle::neox);
  const ModelConfig config = config_of(make_tiny_model(Architecture::gemma3));
  CHECK(config.rope_style == RopeStyle::neox);
  CHECK(config.activation == Activation::gelu_tanh);
  CHECK(config.embedding_scale == 8);
  CHECK(config.head_dim == 24);
  CHECK(config.attention_scale == Approx(1 / std::sqrt(24.0)));
  CHECK(windows(config) == std::vector<int32_t>{24, 0, 24});
  CHECK(config.layers[0].rope_theta == 10000);
  CHECK(config.layers[1].rope_theta == 100000);
}

TEST_CASE("what the file leaves out has the architecture's usual value") {
  GgufWriter writer = make_tiny_model(Architecture::llama);
  for (const char* key : {"attention.key_length", "attention.value_length", "rope.dimension_count",
                          "attention.head_count_kv", "rope.freq_base"})
    writer.remove(std::string("llama.") + key);
  writer.remove("general.name");
  const ModelConfig config = config_of(writer);
  CHECK(config.head_dim == 16);
  CHECK(config.n_rot == 16);
  CHECK(config.n_kv_heads == 4);
  CHECK(config.layers[0].rope_theta == 10000);
  CHECK(config.name == "test.gguf");
  for (const char* key : {"block_count", "embedding_length", "feed_forward_length", "context_length",
                          "attention.head_count", "attention.layer_norm_rms_epsilon"}) {
    GgufWriter incomplete = make_tiny_model(Architecture::llama);
    incomplete.remove(std::string("llama.") + key);
    CHECK_THAT(refusal(incomplete), Contains("metadata key 'llama." + std::string(key) + "': found none"));
  }
}

TEST_CASE("an architecture that is not offered is named beside those that are") {
  GgufWriter writer = make_tiny_model(Architecture::llama);
  CHECK(refusal(writer.set("general.architecture", "mamba")) ==
        "folder/test.gguf: metadata key 'general.architecture': found 'mamba', expected llama, qwen2 or gemma3");
  CHECK_THAT(refusal(writer.set("general.architecture", uint32_t{1})), Contains("expected type string"));
  CHECK_THAT(refusal(writer.remove("general.architecture")), Contains("found none, expected a string"));
  CHECK_THAT(refusal(make_tiny_model(Architecture::llama).set("general.type", "adapter")), Contains("'adapter'"));
}

TEST_CASE("sizes have limits and fit one another") {
  CHECK_THAT(refusal(llama_with("block_count", uint32_t{1025})), Contains("found 1025, expected 1 to 1024"));
  CHECK_THAT(refusal(llama_with("block_count", uint32_t{0})), Contains("found 0, expected 1 to 1024"));
  CHECK_THAT(refusal(llama_with("block_count", -1)), Contains("found -1"));
  CHECK_THAT(refusal(llama_with("block_count", "two")), Contains("found type string, expected an integer"));
  CHECK_THAT(refusal(llama_with("embedding_length", ~uint32_t{0})), Contains("found 4294967295"));
  CHECK_THAT(refusal(llama_with("embedding_length", ~uint64_t{0})), Contains("expected an integer below 2^63"));
  CHECK_THAT(refusal(llama_with("context_length", uint32_t{0})), Contains("'llama.context_length': found 0"));
  CHECK_THAT(refusal(llama_with("attention.head_count_kv", uint32_t{3})), Contains("expected a divisor of the 4"));
  CHECK_THAT(refusal(llama_with("attention.head_count", uint32_t{0})), Contains("found 0"));
  CHECK_THAT(refusal(llama_with("attention.key_length", uint32_t{514})), Contains("found 514, expected 1 to 512"));
  CHECK_THAT(refusal(llama_with("attention.key_length", uint32_t{15})), Contains("found 15, expected an even number"));
  CHECK_THAT(refusal(llama_with("attention.value_length", uint32_t{32})),
             Contains("found 32, expected the key length 16"));
  GgufWriter writer = llama_with("attention.head_count", uint32_t{6});
  writer.remove("llama.attention.key_length");
  CHECK_THAT(refusal(writer), Contains("found 6, expected a divisor of the embedding length 64"));
}

TEST_CASE("a number per layer is accepted where all layers agree") {
  CHECK(config_of(llama_with("attention.head_count_kv", std::vector<uint32_t>{2, 2})).n_kv_heads == 2);
  CHECK(config_of(llama_with("feed_forward_length", std::vector<int32_t>{96, 96})).n_ff == 96);
  CHECK_THAT(refusal(llama_with("attention.head_count_kv", std::vector<uint32_t>{2, 1})),
             Contains("found both 2 and 1, expected the same number for all layers"));
  CHECK_THAT(refusal(llama_with("attention.head_count_kv", std::vector<uint32_t>{2})),
             Contains("found 1 values, expected one for each of the 2 layers"));
}

TEST_CASE("RoPE: linear scaling is honoured, other methods are refused by name") {
  GgufWriter linear = llama_with("rope.scaling.type", "linear").set("llama.rope.scaling.factor", 4.0f);
  CHECK(config_of(linear).layers[1].rope_scale == 0.25f);
  CHECK(config_of(llama_with("rope.scaling.factor", 2.0f)).layers[0].rope_scale == 0.5f);
  CHECK(config_of(llama_with("rope.scale_linear", 8.0f)).layers[0].rope_scale == 0.125f);
  CHECK(config_of(linear.set("llama.rope.scale_linear", 8.0f)).layers[0].rope_scale == 0.25f);
  CHECK(config_of(linear.set("llama.rope.scaling.type", "none")).layers[0].rope_scale == 1);
  CHECK(config_of(llama_with("rope.scaling.factor", 0.0f)).layers[0].rope_scale == 1);
  for (const char* type : {"yarn", "longrope", "su", "dynamic", ""})
    CHECK_THAT(refusal(linear.set("llama.rope.scaling.type", type)), Contains("expected 'none' or 'linear'"));
  CHECK_THAT(refusal(llama_with("rope.scaling.factor", -2.0f)), Contains("found -2, expected a finite number above 0"));
  CHECK_THAT(refusal(llama_with("rope.freq_base", std::numeric_limits<float>::infinity())), Contains("found inf"));
  CHECK_THAT(refusal(llama_with("rope.freq_base", std::nanf(""))), Contains("found nan"));
  CHECK_THAT(refusal(llama_with("rope.scaling.attn_factor", 1.2f)), Contains("'llama.rope.scaling.attn_factor'"));
  CHECK(config_of(llama_with("rope.freq_base", 500000.0f)).layers[0].rope_theta == 500000);
}

TEST_CASE("RoPE: a part of the head only where the order of its rows is known") {
  CHECK_THAT(refusal(llama_with("rope.dimension_count", uint32_t{8})), Contains("expected the head dimension 16"));
  GgufWriter qwen = make_tiny_model(Architecture::qwen2);
  CHECK(config_of(qwen.set("qwen2.rope.dimension_count", uint32_t{8})).n_rot == 8);
  CHECK_THAT(refusal(qwen.set("qwen2.rope.dimension_count", uint32_t{18})), Contains("found 18, expected 2 to 16"));
  CHECK_THAT(refusal(qwen.set("qwen2.rope.dimension_count", uint32_t{7})), Contains("expected an even number"));
}

TEST_CASE("RoPE: frequency factors come from their tensor") {
  TinyModelOptions options = tiny_model_options(Architecture::llama);
  options.rope_factors = true;
  GgufWriter writer = make_tiny_model(options);
  CHECK(config_of(writer).rope_factors == std::vector<float>{1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5});
  writer.set_tensor("rope_freqs.weight", {8}, {1, 1, 1, 0, 1, 1, 1, 1});
  CHECK_THAT(refusal(writer), Contains("found 0.000000, expected finite numbers above 0"));
  writer.set_tensor("rope_freqs.weight", {7}, {1, 1, 1, 1, 1, 1, 1});
  CHECK_THAT(refusal(writer), Contains("found 7 values in 1 dimensions, expected 8"));
  writer.set_tensor_raw("rope_freqs.weight", {8}, static_cast<uint32_t>(TensorType::f16), Bytes(16));
  CHECK_THAT(refusal(writer), Contains("expected F32"));
}

TEST_CASE("gemma3: the pattern of windows is a number, an array, or every sixth layer") {
  TinyModelOptions options = tiny_model_options(Architecture::gemma3);
  options.n_layers = 7;
  GgufWriter writer = make_tiny_model(options);
  writer.remove("gemma3.attention.sliding_window_pattern");
  CHECK(windows(config_of(writer)) == std::vector<int32_t>{24, 24, 24, 24, 24, 0, 24});
  const std::string pattern = "gemma3.attention.sliding_window_pattern";
  CHECK(windows(config_of(writer.set(pattern, uint32_t{3}))) == std::vector<int32_t>{24, 24, 0, 24, 24, 0, 24});
  CHECK(windows(config_of(writer.set(pattern, uint32_t{1}))) == std::vector<int32_t>(7, 0));
  CHECK(windows(config_of(writer.set(pattern, uint32_t{0}))) == std::vector<int32_t>(7, 24));
  CHECK(windows(config_of(writer.set(pattern, std::vector<uint8_t>{0, 1, 1, 0, 0, 1, 0}))) ==
        std::vector<int32_t>{0, 24, 24, 0, 0, 24, 0});
  CHECK_THAT(refusal(writer.set(pattern, std::vector<uint8_t>{0, 1})), Contains("expected one for each of the 7"));
  CHECK_THAT(refusal(writer.set(pattern, true)), Contains("found type bool"));
  writer.remove(pattern).set("gemma3.attention.sliding_window", uint32_t{0});
  CHECK(windows(config_of(writer)) == std::vector<int32_t>(7, 0));
}

TEST_CASE("gemma3: local layers keep their own base frequency and are not scaled") {
  GgufWriter writer = gemma_with("rope.scaling.type", "linear").set("gemma3.rope.scaling.factor", 8.0f);
  ModelConfig config = config_of(writer);
  CHECK(config.layers[0].rope_scale == 1);
  CHECK(config.layers[1].rope_scale == 0.125f);
  config = config_of(writer.set("gemma3.rope.freq_base_swa", 5000.0f));
  CHECK(config.layers[0].rope_theta == 5000);
  CHECK(config.layers[1].rope_theta == 100000);
}

TEST_CASE("gemma3: 62 layers are the model whose attention scale follows the embedding") {
  TinyModelOptions options = smallest_model_options(Architecture::gemma3);
  options.n_layers = 62;
  CHECK(config_of(make_tiny_model(options)).attention_scale == 0.5f);  // 1 / sqrt(8 / 2)
  options.n_layers = 61;
  CHECK(config_of(make_tiny_model(options)).attention_scale == Approx(1 / std::sqrt(6.0)));
}

TEST_CASE("a sliding window in the other architectures is honoured or refused, never ignored") {
  ModelConfig config = config_of(llama_with("attention.sliding_window", uint32_t{100}));
  CHECK(windows(config) == std::vector<int32_t>{100, 100});
  CHECK(config.layers[0].rope_theta == 10000);
  CHECK(windows(config_of(llama_with("attention.sliding_window", uint32_t{4096}))) == std::vector<int32_t>{0, 0});
  GgufWriter patterned = llama_with("attention.sliding_window", uint32_t{100});
  patterned.set("llama.attention.sliding_window_pattern", uint32_t{2});
  CHECK(windows(config_of(patterned)) == std::vector<int32_t>{100, 0});
  CHECK(windows(config_of(patterned.set("llama.use_sliding_window", false))) == std::vector<int32_t>{0, 0});
  CHECK_THAT(refusal(llama_with("attention.sliding_window", uint32_t{1})), Contains("found 1, expected 2 to"));
  CHECK_THAT(refusal(llama_with("attention.sliding_window", -5)), Contains("found -5"));

  GgufWriter qwen = make_tiny_model(Architecture::qwen2).set("qwen2.attention.sliding_window", uint32_t{100});
  CHECK_THAT(refusal(qwen), Contains("'qwen2.use_sliding_window'"));
  CHECK(windows(config_of(qwen.set("qwen2.use_sliding_window", false))) == std::vector<int32_t>{0, 0});
  CHECK(windows(config_of(qwen.set("qwen2.use_sliding_window", true))) == std::vector<int32_t>{100, 100});
}

TEST_CASE("scales are honoured") {
  CHECK(config_of(llama_with("attention.scale", 0.5f)).attention_scale == 0.5f);
  CHECK(config_of(llama_with("attention.scale", 0.0f)).attention_scale == 0.25f);
  CHECK(config_of(llama_with("embedding_scale", 12.0f)).embedding_scale == 12);
  CHECK_THAT(refusal(llama_with("attention.layer_norm_rms_epsilon", 0.0f)), Contains("found none or 0"));
  CHECK_THAT(refusal(llama_with("attention.layer_norm_rms_epsilon", 2.0f)), Contains("at most 1"));
}

TEST_CASE("keys that would change the mathematics are refused by name unless they change nothing") {
  const auto check = [](const std::string& suffix, auto neutral, auto other) {
    INFO(suffix);
    CHECK(refusal(llama_with(suffix, neutral)) == "accepted");
    CHECK_THAT(refusal(llama_with(suffix, other)), Contains("metadata key 'llama." + suffix + "'"));
  };
  check("attn_logit_softcapping", 0.0f, 50.0f);
  check("final_logit_softcapping", 0.0f, 30.0f);
  check("logit_scale", 1.0f, 0.25f);
  check("residual_scale", 0.0f, 0.2f);
  check("expert_count", uint32_t{0}, uint32_t{8});
  check("expert_used_count", uint32_t{0}, uint32_t{2});
  check("use_parallel_residual", false, true);
  check("attention.causal", true, false);
  check("attention.max_alibi_bias", 0.0f, 8.0f);
  check("attention.clamp_kqv", 0.0f, 8.0f);
  check("attention.q_lora_rank", uint32_t{0}, uint32_t{64});
  check("rope.scaling.attn_factor", 1.0f, 0.5f);
  check("hidden_activation", "silu", "gelu");
  check("tensor_data_layout", "Meta AI original pth", "reference");
  check("rope.scaling.type", "none", "yarn");
  CHECK_THAT(refusal(llama_with("expert_count", "eight")), Contains("expected an integer"));
  CHECK_THAT(refusal(gemma_with("hidden_activation", "silu")), Contains("expected 'gelu_pytorch_tanh'"));
}

TEST_CASE("keys that nobody here knows are refused by name, notes are not") {
  for (const char* suffix : {"attention.layer_norm_epsilon", "attention.sinks", "rope.dimension_sections",
                             "attention.key_length_swa", "rope.something.new", "something.else"})
    CHECK_THAT(refusal(llama_with(suffix, uint32_t{1})),
               Contains("metadata key 'llama." + std::string(suffix) + "'") && Contains("an unknown key"));
  CHECK(refusal(llama_with("rope.scaling.original_context_length", uint32_t{8192})) == "accepted");
  CHECK(refusal(llama_with("rope.scaling.finetuned", false)) == "accepted");
  CHECK(refusal(gemma_with("mm.tokens_per_image", uint32_t{256})) == "accepted");
  GgufWriter writer = make_tiny_model(Architecture::llama);
  writer.set("general.file_type", uint32_t{3}).set("quantize.imatrix.file", "x").set("llamas.other", uint32_t{1});
  CHECK(refusal(writer) == "accepted");
}

}  // namespace config_test
