// The table of architectures: the values of each row, and that every list of architectures equals it.
#include "engine/base/architecture.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "engine/model/model_file.h"
#include "tests/model/refusal.h"
#include "tests/support/tiny_model.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;

namespace architecture_test {
namespace {

std::string refusal(const GgufWriter& writer) {
  const Bytes bytes = writer.bytes();
  return sentence_of([&] { load_model_file(GgufFile::from_bytes(bytes, "test.gguf")); });
}

/// Text of a file in the source tree, with each run of white space as one space.
std::string words_of(const std::string& file) {
  std::ifstream in(HEADROOM_TEST_DATA "/../../" + file);
  REQUIRE(in);
  std::string words, word;
  while (in >> word) words += word + " ";
  return words;
}

}  // namespace

TEST_CASE("each row of the table: RoPE, biases, norms, window") {
  const ArchitectureTraits& llama = architecture_traits(Architecture::llama);
  CHECK(llama.rope_style == RopeStyle::interleaved);
  CHECK(llama.qkv_bias == Presence::optional);
  CHECK(!llama.has_qk_norms);
  CHECK(!llama.has_post_norms);
  CHECK(llama.has_rope_factors);
  CHECK(llama.window_rule == WindowRule::every_layer);
  const ArchitectureTraits& qwen2 = architecture_traits(Architecture::qwen2);
  CHECK(qwen2.rope_style == RopeStyle::neox);
  CHECK(qwen2.qkv_bias == Presence::required);
  CHECK(!qwen2.has_qk_norms);
  CHECK(qwen2.window_rule == WindowRule::every_layer_if_said);
  const ArchitectureTraits& gemma3 = architecture_traits(Architecture::gemma3);
  CHECK(gemma3.rope_style == RopeStyle::neox);
  CHECK(gemma3.activation == Activation::gelu_tanh);
  CHECK(gemma3.qkv_bias == Presence::none);
  CHECK(gemma3.has_qk_norms);
  CHECK(gemma3.has_post_norms);
  CHECK(gemma3.scales_embedding);
  CHECK(gemma3.window_rule == WindowRule::five_of_six);
}

TEST_CASE("a row is found by its name, and by nothing else") {
  for (const ArchitectureTraits& traits : architectures()) {
    CHECK(find_architecture(traits.name) == &traits);
    CHECK(&architecture_traits(traits.architecture) == &traits);
  }
  for (const char* name : {"", "LLAMA", "llama ", "llam", "mamba"}) CHECK(find_architecture(name) == nullptr);
}

TEST_CASE("a bias that the architecture does not have is one tensor too many, one that it must have is missed") {
  for (const ArchitectureTraits& traits : architectures()) {
    CAPTURE(traits.name);
    GgufWriter writer = make_tiny_model(traits.architecture);
    const TinyModelOptions options = tiny_model_options(traits.architecture);
    const auto q_dim = static_cast<uint64_t>(options.n_heads * options.head_dim);
    writer.set_tensor("blk.1.attn_q.bias", {q_dim}, std::vector<float>(q_dim));
    const std::string with_bias = refusal(writer);
    writer.remove_tensor("blk.1.attn_q.bias");
    const std::string without_bias = refusal(writer);
    if (traits.qkv_bias == Presence::none)
      CHECK_THAT(with_bias, Contains("'blk.1.attn_q.bias': found an unknown tensor"));
    else
      CHECK(with_bias == "accepted");
    if (traits.qkv_bias == Presence::required)
      CHECK_THAT(without_bias, Contains("'blk.1.attn_q.bias': found none"));
    else
      CHECK(without_bias == "accepted");
  }
}

TEST_CASE("README and man page list the architectures of the table") {
  for (const char* file : {"README.md", "assets/headroom.1"}) CHECK_THAT(words_of(file), Contains(architecture_list()));
}

}  // namespace architecture_test
