// load_model_file: every weight has its place and the shape that the config requires, and no tensor is left over.
#include <catch2/catch.hpp>

#include "engine/model/model_file.h"
#include "engine/model/type_names.h"
#include "tests/model/refusal.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;

namespace tensors_test {
namespace {

std::string refusal(const GgufWriter& writer) {
  const Bytes bytes = writer.bytes();
  return sentence_of([&] { load_model_file(GgufFile::from_bytes(bytes, "test.gguf")); });
}

// Whether the view has the same bytes as the writer's tensor.
bool holds(const TensorView& view, GgufWriter& writer) {
  const Bytes& data = writer.tensor(view.name).data;
  return view.data.size() == data.size() && std::memcmp(view.data.data(), data.data(), data.size()) == 0;
}

}  // namespace

TEST_CASE("every weight of every architecture is found by its role") {
  for (const ArchitectureTraits& traits : architectures()) {
    const Architecture architecture = traits.architecture;
    GgufWriter writer = make_tiny_model(architecture);
    const Bytes bytes = writer.bytes();
    const ModelFile model = load_model_file(GgufFile::from_bytes(bytes, "test.gguf"));
    const ModelConfig& config = model.config;
    INFO(traits.name);
    REQUIRE(model.tensors.layers.size() == static_cast<size_t>(config.n_layers));
    CHECK(model.tensors.token_embd.n_rows == config.n_vocab);
    CHECK(model.tensors.token_embd.n_cols == config.n_embd);
    CHECK(model.tensors.output.name ==
          (tiny_model_options(architecture).tied_output ? "token_embd.weight" : "output.weight"));
    CHECK(holds(model.tensors.output_norm, writer));
    const LayerTensors& layer = model.tensors.layers[1];
    CHECK(layer.attn_q.name == "blk.1.attn_q.weight");
    CHECK(layer.attn_q.n_rows == config.q_dim());
    CHECK(layer.attn_output.n_cols == config.q_dim());
    CHECK(layer.attn_k.n_rows == config.kv_dim());
    CHECK(layer.ffn_down.n_cols == config.n_ff);
    CHECK(layer.attn_norm.n_rows == 1);
    CHECK(layer.attn_q.data.size() == static_cast<size_t>(config.q_dim()) * layer.attn_q.row_bytes());
    for (const TensorView* view : {&layer.attn_norm, &layer.attn_q, &layer.attn_k, &layer.attn_v, &layer.attn_output,
                                   &layer.ffn_norm, &layer.ffn_gate, &layer.ffn_up, &layer.ffn_down})
      CHECK(holds(*view, writer));
    CHECK(layer.attn_q_bias.has_value() == (traits.qkv_bias == Presence::required));
    CHECK(layer.attn_q_norm.has_value() == traits.has_qk_norms);
    CHECK(layer.post_ffw_norm.has_value() == traits.has_post_norms);
  }
}

TEST_CASE("quantised matrices are views of whole rows") {
  for (const TensorType type : {TensorType::f16, TensorType::q8_0}) {
    TinyModelOptions options = tiny_model_options(Architecture::qwen2);
    options.matrix_type = type;
    const Bytes bytes = make_tiny_model(options).bytes();
    const ModelFile model = load_model_file(GgufFile::from_bytes(bytes, "test.gguf"));
    CHECK(model.tensors.layers[0].ffn_down.type == type);
    CHECK(model.tensors.layers[0].ffn_down.data.size() == 64 * row_bytes(type, 96));
    CHECK(model.tensors.layers[0].ffn_norm.type == TensorType::f32);
  }
}

TEST_CASE("the same options give the same file, another seed another") {
  TinyModelOptions options = tiny_model_options(Architecture::gemma3);
  const Bytes bytes = make_tiny_model(options).bytes();
  CHECK(make_tiny_model(options).bytes() == bytes);
  options.seed = 2;
  CHECK(make_tiny_model(options).bytes() != bytes);
}

TEST_CASE("any tensor that is missing is named with its shape") {
  for (const ArchitectureTraits& traits : architectures()) {
    const Architecture architecture = traits.architecture;
    const GgufWriter whole = make_tiny_model(architecture);
    for (const GgufWriter::Tensor& tensor : whole.tensors) {
      if (tensor.name == "output.weight") continue;  // then it is tied
      GgufWriter writer = whole;
      writer.remove_tensor(tensor.name);
      CHECK_THAT(refusal(writer), Contains("tensor '" + tensor.name + "': found none, expected shape ("));
    }
  }
}

TEST_CASE("any tensor of another shape is named with both shapes") {
  const GgufWriter whole = make_tiny_model(smallest_model_options(Architecture::gemma3));
  for (const GgufWriter::Tensor& tensor : whole.tensors) {
    GgufWriter writer = whole;
    writer.tensor(tensor.name).dims[0] /= 2;
    CHECK_THAT(refusal(writer),
               Contains("tensor '" + tensor.name + "': found shape (") && Contains("expected shape ("));
  }
  GgufWriter writer = make_tiny_model(Architecture::llama);
  writer.tensor("blk.1.ffn_down.weight").dims = {64, 96};
  CHECK(refusal(writer) == "test.gguf: tensor 'blk.1.ffn_down.weight': found shape (96, 64), expected shape (64, 96)");
  writer = make_tiny_model(Architecture::llama);
  writer.tensor("output_norm.weight").dims = {64, 1, 1};
  CHECK(refusal(writer) == "accepted");
  writer.tensor("output_norm.weight").dims = {1, 64};
  CHECK_THAT(refusal(writer), Contains("'output_norm.weight': found shape (64, 1)"));
}

TEST_CASE("one layer more or less than the file holds") {
  GgufWriter writer = make_tiny_model(Architecture::llama);
  CHECK_THAT(refusal(writer.set("llama.block_count", uint32_t{3})), Contains("'blk.2.attn_norm.weight': found none"));
  CHECK_THAT(refusal(writer.set("llama.block_count", uint32_t{1})),
             Contains("tensor 'blk.1.attn_norm.weight': found an unknown tensor"));
}

TEST_CASE("the vocabulary and the embedding agree") {
  GgufWriter writer = make_tiny_model(smallest_model_options(Architecture::llama));
  writer.set("tokenizer.ggml.tokens", std::vector<std::string>(8, "x"));
  writer.remove("tokenizer.ggml.token_type");
  CHECK_THAT(refusal(writer), Contains("tensor 'token_embd.weight': found shape (7, 8), expected shape (8, 8)"));
}

TEST_CASE("tensors that would change the results are honoured or refused by name") {
  GgufWriter llama = make_tiny_model(Architecture::llama);
  llama.set_tensor("blk.0.attn_q.bias", {64}, std::vector<float>(64, 0.5f));
  CHECK(refusal(llama) == "accepted");
  const Bytes bytes = llama.bytes();
  const ModelFile model = load_model_file(GgufFile::from_bytes(bytes, "test.gguf"));
  CHECK(model.tensors.layers[0].attn_q_bias.has_value());
  CHECK_FALSE(model.tensors.layers[1].attn_q_bias.has_value());
  for (const char* name : {"blk.0.attn_output.bias", "blk.1.attn_sinks", "blk.0.ffn_gate_exps.weight",
                           "blk.0.attn_q_norm.weight", "blk.0.attn_q.scale", "blk.0.ffn_up.bias", "output.bias",
                           "rope_factors_long.weight", "rope_factors_short.weight", "v.patch_embd.weight"}) {
    GgufWriter writer = make_tiny_model(Architecture::llama);
    writer.set_tensor(name, {4}, {1, 2, 3, 4});
    CHECK_THAT(refusal(writer), Contains("tensor '" + std::string(name) + "': found an unknown tensor"));
  }
  GgufWriter qwen = make_tiny_model(Architecture::qwen2).set_tensor("rope_freqs.weight", {8}, std::vector<float>(8, 2));
  CHECK_THAT(refusal(qwen), Contains("tensor 'rope_freqs.weight'"));
  GgufWriter gemma = make_tiny_model(Architecture::gemma3);
  gemma.set_tensor("v.patch_embd.weight", {4}, {1, 2, 3, 4}).set_tensor("mm.input.weight", {4}, {1, 2, 3, 4});
  CHECK(refusal(gemma) == "accepted");
}

TEST_CASE("types: norms and biases are F32, matrices one of the supported types") {
  GgufWriter writer = make_tiny_model(Architecture::llama);
  writer.tensor("output_norm.weight").type = static_cast<uint32_t>(TensorType::f16);
  CHECK_THAT(refusal(writer), Contains("'output_norm.weight': found type F16, expected F32"));
}

TEST_CASE("a type that is not read is named as in file names, with what to look for instead") {
  struct Row {
    uint32_t number;
    const char* name;
  };
  for (const Row row : {Row{4, "Q4_2"},
                        {5, "Q4_3"},
                        {10, "Q2_K"},
                        {11, "Q3_K"},
                        {16, "IQ2_XXS"},
                        {17, "IQ2_XS"},
                        {18, "IQ3_XXS"},
                        {19, "IQ1_S"},
                        {20, "IQ4_NL"},
                        {21, "IQ3_S"},
                        {22, "IQ2_S"},
                        {23, "IQ4_XS"},
                        {29, "IQ1_M"},
                        {31, "Q4_0_4_4"},
                        {34, "TQ1_0"},
                        {35, "TQ2_0"},
                        {39, "MXFP4"},
                        {77, "number 77"},
                        {4000000000, "number 4000000000"}}) {
    GgufWriter writer = make_tiny_model(Architecture::llama);
    writer.tensor("blk.0.ffn_up.weight").type = row.number;
    CHECK_THAT(refusal(writer), EndsWith("'blk.0.ffn_up.weight': found type " + std::string(row.name) +
                                         ", expected F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K or "
                                         "Q6_K; a Q4_K_M or Q8_0 of the same model runs"));
    writer = make_tiny_model(Architecture::llama);
    writer.tensor("blk.0.ffn_norm.weight").type = row.number;
    CHECK_THAT(refusal(writer),
               EndsWith("'blk.0.ffn_norm.weight': found type " + std::string(row.name) + ", expected F32"));
  }
}

TEST_CASE("a file's own type has the name that file names have") {
  CHECK(file_type_name(0) == "F32");
  CHECK(file_type_name(3) == "Q4_1");
  CHECK(file_type_name(11) == "Q3_K_S");
  CHECK(file_type_name(15) == "Q4_K_M");
  CHECK(file_type_name(1024 + 17) == "Q5_K_M");
  CHECK(file_type_name(30) == "IQ4_XS");
  CHECK(file_type_name(999).empty());
}

}  // namespace tensors_test
