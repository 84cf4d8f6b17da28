// The three real models that the project is measured with, if they are present: the numbers that their makers publish,
// and the place of every tensor.
#include <catch2/catch.hpp>
#include <cmath>

#include "engine/model/model_file.h"
#include "tests/support/model_paths.h"

using namespace headroom;
using namespace headroom::test;

namespace {

std::optional<ModelFile> load(const char* file_name) {
  const std::optional<std::string> path = find_model(file_name);
  if (path) return load_model_file(*path);
  WARN("skipped: " << file_name << " is not there");
  return std::nullopt;
}

}  // namespace

TEST_CASE("SmolLM2-135M-Instruct") {
  const std::optional<ModelFile> model = load(smollm2_file);
  if (!model) return;
  const ModelConfig& config = model->config;
  CHECK(config.architecture == Architecture::llama);
  CHECK(config.n_layers == 30);
  CHECK(config.n_embd == 576);
  CHECK(config.n_ff == 1536);
  CHECK(config.n_heads == 9);
  CHECK(config.n_kv_heads == 3);
  CHECK(config.head_dim == 64);
  CHECK(config.n_vocab == 49152);
  CHECK(config.n_ctx_train == 8192);
  CHECK(config.layers[29].rope_theta == 100000);
  CHECK(model->tensors.output.data.data() == model->tensors.token_embd.data.data());
  CHECK(model->tensors.layers[29].ffn_down.type == TensorType::q4_1);
  CHECK(model->vocab.pre == "smollm");
  CHECK(model->vocab.tokens[1] == "<|im_start|>");
  CHECK_FALSE(model->vocab.add_bos);
}

TEST_CASE("Qwen2.5-Coder-0.5B-Instruct") {
  const std::optional<ModelFile> model = load(qwen2_file);
  if (!model) return;
  const ModelConfig& config = model->config;
  CHECK(config.architecture == Architecture::qwen2);
  CHECK(config.n_layers == 24);
  CHECK(config.n_embd == 896);
  CHECK(config.n_heads == 14);
  CHECK(config.n_kv_heads == 2);
  CHECK(config.head_dim == 64);
  CHECK(config.rope_style == RopeStyle::neox);
  CHECK(config.layers[0].rope_theta == 1000000);
  CHECK(model->tensors.output.name == "output.weight");
  CHECK(model->tensors.layers[23].attn_k_bias->n_cols == 128);
  CHECK(model->vocab.eos_id == 151645);
}

TEST_CASE("Gemma 3 270M") {
  const std::optional<ModelFile> model = load(gemma3_file);
  if (!model) return;
  const ModelConfig& config = model->config;
  CHECK(config.architecture == Architecture::gemma3);
  CHECK(config.n_layers == 18);
  CHECK(config.n_embd == 640);
  CHECK(config.n_heads == 4);
  CHECK(config.n_kv_heads == 1);
  CHECK(config.head_dim == 256);
  CHECK(config.attention_scale == 1.0f / 16);
  CHECK(config.embedding_scale == Approx(std::sqrt(640.0)));
  for (size_t layer = 0; layer < config.layers.size(); ++layer) {
    const bool is_global = layer % 6 == 5;
    CHECK(config.layers[layer].window == (is_global ? 0 : 512));
    CHECK(config.layers[layer].rope_theta == (is_global ? 1000000 : 10000));
  }
  CHECK(model->tensors.layers[17].post_ffw_norm->n_cols == 640);
  CHECK(model->vocab.model == "llama");
  CHECK(model->vocab.tokens[2] == "<bos>");
  CHECK(model->vocab.add_bos);
  CHECK(model->vocab.chat_template.empty());
}
