// read_vocab: the file's data about its tokens, with llama.cpp's rules for missing data.
#include <catch2/catch.hpp>
#include <cmath>

#include "engine/model/model_file.h"
#include "tests/model/refusal.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;

namespace vocab_test {
namespace {

Vocab vocab_of(const GgufWriter& writer) {
  const Bytes bytes = writer.bytes();
  return read_vocab(GgufFile::from_bytes(bytes, "test.gguf"));
}

std::string refusal(const GgufWriter& writer) {
  return sentence_of([&] { vocab_of(writer); });
}

// A vocabulary-only file.
GgufWriter bpe() {
  GgufWriter writer;
  writer.set("tokenizer.ggml.model", "gpt2").set("tokenizer.ggml.pre", "qwen2");
  writer.set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab", "<s>", "</s>"});
  writer.set("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  return writer;
}

GgufWriter sentencepiece() {
  GgufWriter writer;
  writer.set("tokenizer.ggml.model", "llama");
  writer.set("tokenizer.ggml.tokens", std::vector<std::string>{"<unk>", "<s>", "</s>", "a"});
  writer.set("tokenizer.ggml.scores", std::vector<float>{0, 0, 0, -1});
  writer.set("tokenizer.ggml.token_type", std::vector<int32_t>{2, 3, 3, 1});
  return writer;
}

}  // namespace

TEST_CASE("byte-level BPE: tokens, merges, ids, flags, template") {
  GgufWriter writer = bpe();
  writer.set("tokenizer.ggml.token_type", std::vector<int32_t>{1, 1, 4, 3, 3});
  writer.set("tokenizer.ggml.bos_token_id", uint32_t{3}).set("tokenizer.ggml.eos_token_id", uint32_t{4});
  writer.set("tokenizer.ggml.eot_token_id", int32_t{2}).set("tokenizer.ggml.eom_token_id", uint64_t{1});
  writer.set("tokenizer.ggml.padding_token_id", uint16_t{0}).set("tokenizer.ggml.unknown_token_id", uint8_t{1});
  writer.set("tokenizer.ggml.add_bos_token", true).set("tokenizer.ggml.add_eos_token", true);
  writer.set("tokenizer.chat_template", "{{ messages }}");
  const Vocab vocab = vocab_of(writer);
  CHECK(vocab.model == "gpt2");
  CHECK(vocab.pre == "qwen2");
  CHECK(vocab.tokens == std::vector<std::string>{"a", "b", "ab", "<s>", "</s>"});
  CHECK(vocab.merges == std::vector<std::string>{"a b"});
  CHECK(vocab.types == std::vector<TokenType>{TokenType::normal, TokenType::normal, TokenType::user_defined,
                                              TokenType::control, TokenType::control});
  CHECK(vocab.scores.empty());
  CHECK(vocab.bos_id == 3);
  CHECK(vocab.eos_id == 4);
  CHECK(vocab.eot_id == 2);
  CHECK(vocab.eom_id == 1);
  CHECK(vocab.padding_id == 0);
  CHECK(vocab.unknown_id == 1);
  CHECK(vocab.add_bos);
  CHECK(vocab.add_eos);
  CHECK(vocab.chat_template == "{{ messages }}");
}

TEST_CASE("what a byte-level BPE file leaves out") {
  const Vocab vocab = vocab_of(bpe());
  CHECK(vocab.types == std::vector<TokenType>(5, TokenType::normal));
  CHECK(vocab.bos_id == -1);
  CHECK(vocab.eos_id == -1);
  CHECK_FALSE(vocab.add_bos);
  CHECK_FALSE(vocab.add_eos);
  CHECK_FALSE(vocab.add_space_prefix);
  CHECK(vocab.chat_template.empty());
  CHECK(vocab_of(bpe().remove("tokenizer.ggml.pre")).pre.empty());
}

TEST_CASE("Llama 3's pre-tokeniser brings BOS with it, unless the file says no or has none") {
  GgufWriter writer = bpe().set("tokenizer.ggml.pre", "llama-bpe");
  CHECK_FALSE(vocab_of(writer).add_bos);
  CHECK(vocab_of(writer.set("tokenizer.ggml.bos_token_id", uint32_t{3})).add_bos);
  CHECK_FALSE(vocab_of(writer.set("tokenizer.ggml.add_bos_token", false)).add_bos);
}

TEST_CASE("SentencePiece: scores, and defaults of its own") {
  const Vocab vocab = vocab_of(sentencepiece());
  CHECK(vocab.scores == std::vector<float>{0, 0, 0, -1});
  CHECK(vocab.bos_id == 1);
  CHECK(vocab.eos_id == 2);
  CHECK(vocab.unknown_id == 0);
  CHECK(vocab.padding_id == -1);
  CHECK(vocab.add_bos);
  CHECK_FALSE(vocab.add_eos);
  CHECK(vocab.add_space_prefix);
  CHECK_FALSE(vocab.remove_extra_whitespaces);
  GgufWriter changed = sentencepiece();
  changed.set("tokenizer.ggml.add_space_prefix", false).set("tokenizer.ggml.remove_extra_whitespaces", true);
  CHECK_FALSE(vocab_of(changed).add_space_prefix);
  CHECK(vocab_of(changed).remove_extra_whitespaces);
}

TEST_CASE("unigram: EOS by default, the normaliser's table as it is") {
  GgufWriter writer = sentencepiece().set("tokenizer.ggml.model", "t5");
  writer.set("tokenizer.ggml.precompiled_charsmap", std::vector<uint8_t>{1, 0, 255});
  const Vocab vocab = vocab_of(writer);
  CHECK(vocab.eos_id == 1);
  CHECK(vocab.unknown_id == 2);
  CHECK(vocab.padding_id == 0);
  CHECK(vocab.bos_id == -1);
  CHECK_FALSE(vocab.add_bos);
  CHECK(vocab.add_eos);
  CHECK(vocab.precompiled_charsmap == std::string("\x01\x00\xff", 3));
  CHECK_THAT(refusal(writer.set("tokenizer.ggml.precompiled_charsmap", "text")), Contains("an array of u8 or i8"));
}

TEST_CASE("arrays of unequal length, of the wrong type, or with wrong values are refused") {
  CHECK_THAT(refusal(sentencepiece().set("tokenizer.ggml.scores", std::vector<float>{0, 0, 0})),
             Contains("'tokenizer.ggml.scores': found 3 values, expected one for each of the 4 tokens"));
  CHECK_THAT(refusal(sentencepiece().set("tokenizer.ggml.token_type", std::vector<int32_t>{1, 1, 1, 1, 1})),
             Contains("'tokenizer.ggml.token_type': found 5 values"));
  CHECK_THAT(refusal(bpe().set("tokenizer.ggml.scores", std::vector<float>{0})), Contains("found 1 values"));
  CHECK_THAT(refusal(sentencepiece().set("tokenizer.ggml.scores", std::vector<int32_t>{0, 0, 0, 0})),
             Contains("found an array of i32, expected an array of f32"));
  CHECK_THAT(refusal(sentencepiece().set("tokenizer.ggml.scores", std::vector<float>{0, 0, std::nanf(""), 0})),
             Contains("a score of token 2"));
  CHECK_THAT(refusal(sentencepiece().set("tokenizer.ggml.token_type", std::vector<int32_t>{1, 7, 1, 1})),
             Contains("found 7 for token 1, expected 1 to 6"));
  CHECK_THAT(refusal(sentencepiece().set("tokenizer.ggml.token_type", std::vector<int32_t>{1, 1, 0, 1})),
             Contains("found 0 for token 2"));
  CHECK_THAT(refusal(bpe().set("tokenizer.ggml.tokens", std::vector<std::string>{})), Contains("found no tokens"));
  CHECK_THAT(refusal(bpe().set("tokenizer.ggml.tokens", "a b c")), Contains("expected an array of string"));
  CHECK_THAT(refusal(bpe().set("tokenizer.ggml.merges", std::vector<float>{1})), Contains("an array of string"));
  CHECK_THAT(refusal(bpe().set("tokenizer.chat_template", std::vector<std::string>{"x"})),
             Contains("'tokenizer.chat_template': found an array of string, expected type string"));
}

TEST_CASE("what is needed and missing is named") {
  CHECK_THAT(refusal(bpe().remove("tokenizer.ggml.model")), Contains("'tokenizer.ggml.model': found none"));
  CHECK_THAT(refusal(bpe().remove("tokenizer.ggml.tokens")), Contains("'tokenizer.ggml.tokens': found no tokens"));
  CHECK_THAT(refusal(bpe().remove("tokenizer.ggml.merges")), Contains("'tokenizer.ggml.merges': found none"));
  CHECK_THAT(refusal(sentencepiece().remove("tokenizer.ggml.scores")), Contains("'tokenizer.ggml.scores': found none"));
}

TEST_CASE("ids lie in the vocabulary; -1 in any width means none") {
  const auto with_bos = [](auto id) { return bpe().set("tokenizer.ggml.bos_token_id", id); };
  CHECK_THAT(refusal(with_bos(uint32_t{5})), Contains("found token 5, expected 0 to 4"));
  CHECK_THAT(refusal(with_bos(int32_t{-2})), Contains("found token -2"));
  CHECK_THAT(refusal(with_bos(uint64_t{1} << 40)), Contains("found token 1099511627776"));
  CHECK_THAT(refusal(with_bos("3")), Contains("found type string, expected an integer"));
  CHECK(vocab_of(with_bos(int32_t{-1})).bos_id == -1);
  CHECK(vocab_of(with_bos(~uint32_t{0})).bos_id == -1);
  CHECK_THAT(refusal(bpe().set("tokenizer.ggml.add_bos_token", true)), Contains("found true without a BOS token"));
  CHECK_THAT(refusal(bpe().set("tokenizer.ggml.add_eos_token", true)), Contains("found true without an EOS token"));
}

TEST_CASE("vocabularies of other kinds, and keys that change ids and are not honoured, are refused") {
  for (const char* model : {"bert", "rwkv", "plamo2", "gemma4", "none", ""})
    CHECK_THAT(refusal(bpe().set("tokenizer.ggml.model", model)), Contains("expected one of gpt2, llama, t5"));
  CHECK_THAT(refusal(bpe().set("tokenizer.ggml.normalizer.lowercase", true)), Contains("found true, expected false"));
  CHECK_THAT(refusal(bpe().set("tokenizer.ggml.add_sep_token", true)), Contains("'tokenizer.ggml.add_sep_token'"));
  CHECK(refusal(bpe().set("tokenizer.ggml.add_sep_token", false)) == "accepted");
  CHECK_THAT(refusal(bpe().set("tokenizer.ggml.suppress_tokens", std::vector<int32_t>{1})), Contains("found 1 tokens"));
}

TEST_CASE("a vocabulary-only file is a vocabulary and no model") {
  const Bytes bytes = bpe().bytes();
  CHECK(read_vocab(GgufFile::from_bytes(bytes, "v.gguf")).tokens.size() == 5);
  CHECK_THAT(sentence_of([&] { load_model_file(GgufFile::from_bytes(bytes, "v.gguf")); }),
             Contains("v.gguf: tensor count: found 0 (a vocabulary-only file), expected the tensors of a model"));
}

}  // namespace vocab_test
