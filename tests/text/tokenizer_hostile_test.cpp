// Vocabularies from broken or hostile files: refused with a sentence, or read without harm.
#include <catch2/catch.hpp>
#include <limits>

#include "engine/base/error.h"
#include "engine/text/tokenizer.h"
#include "tests/support/tiny_vocabs.h"

namespace headroom::tokenizer_hostile_test {
namespace {

using test::add_token;
using Ids = std::vector<TokenId>;

void refused(const Vocab& vocab, const std::string& why) {
  try {
    Tokenizer tokenizer(vocab);
    FAIL("accepted, expected: " << why);
  } catch (const Error& error) {
    CHECK_THAT(error.what(), Catch::Contains(why));
  }
}

TEST_CASE("models that are not offered are refused by name") {
  for (const char* model : {"", "bert", "rwkv", "gemma4", "no_vocab"}) {
    Vocab vocab = test::byte_level_vocab();
    vocab.model = model;
    refused(vocab, "tokenizer.ggml.model is '" + std::string(model) + "'");
  }
}

TEST_CASE("an empty vocabulary, and lists of unequal length, are refused") {
  Vocab vocab;
  vocab.model = "gpt2";
  vocab.pre = "gpt-2";
  refused(vocab, "tokens is empty");
  vocab = test::byte_level_vocab();
  vocab.types.pop_back();
  refused(vocab, "token_type has 255 entries; expected 256");
  vocab = test::spm_vocab();
  vocab.scores.push_back(0);
  refused(vocab, "scores has 261 entries; expected 260");
  vocab.scores.clear();
  refused(vocab, "scores has 0 entries");
}

TEST_CASE("ids past the end are refused by name") {
  for (TokenId Vocab::*id :
       {&Vocab::bos_id, &Vocab::eos_id, &Vocab::eot_id, &Vocab::eom_id, &Vocab::unknown_id, &Vocab::padding_id}) {
    for (const TokenId value : {256, -2, std::numeric_limits<TokenId>::max(), std::numeric_limits<TokenId>::min()}) {
      Vocab vocab = test::byte_level_vocab();
      vocab.*id = value;
      refused(vocab, "_token_id is " + std::to_string(value));
    }
  }
}

TEST_CASE("two tokens of the same text are refused; empty ones are never produced") {
  Vocab vocab = test::byte_level_vocab();
  add_token(&vocab, "a");
  refused(vocab, "token 256 is 'a'");
  for (vocab = test::byte_level_vocab(); vocab.tokens.size() < 259;) add_token(&vocab, "", TokenType::user_defined);
  add_token(&vocab, "", TokenType::control);
  const Tokenizer bpe(vocab);
  CHECK(bpe.encode("ab", true) == Ids{'a', 'b'});
  CHECK(bpe.piece(256).empty());
  vocab = test::spm_vocab();
  add_token(&vocab, "");
  add_token(&vocab, "", TokenType::byte);
  CHECK(Tokenizer(vocab).decode(Tokenizer(vocab).encode("ab")) == "ab");
}

TEST_CASE("merges that name no tokens, or are none, are refused with their place") {
  for (const std::string merge :
       {"a zz", "zz a", "a b", "ab", "", " ", "a", "a ", " a", "a b c", "a \xff", "\u65e5 a"}) {
    Vocab vocab = test::byte_level_vocab();
    test::add_merge(&vocab, "x", "y");
    vocab.merges.push_back(merge);
    refused(vocab, "merge 1 is '" + merge + "'");
  }
}

TEST_CASE("a byte-level vocabulary without bytes can say nothing, and leaves all of them out") {
  Vocab vocab;
  vocab.model = "gpt2";
  vocab.pre = "gpt-2";
  add_token(&vocab, "hello");
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.encode("").empty());
  const TextPart part{"hello", false};
  CHECK(tokenizer.encode_parts({&part, 1}).ids.empty());
  CHECK(tokenizer.encode_parts({&part, 1}).left_out == std::vector<size_t>{0, 1, 2, 3, 4});
}

TEST_CASE("whoever no longer wants the tokens of a long text is asked all along, and heard") {
  Vocab vocab = test::byte_level_vocab();
  test::add_merge(&vocab, "a", "a");
  add_token(&vocab, "<mark>", TokenType::user_defined);
  const Tokenizer tokenizer(vocab);
  constexpr size_t n_bytes = 1 << 20, n_steps_per_question = 16384;
  std::string marks;
  while (marks.size() < n_bytes) marks += "<mark>";
  std::string words;
  while (words.size() < n_bytes) words += "aa ";
  for (const std::string& text : {std::string(n_bytes, 'a'), words, marks, std::string(n_bytes, '\xff')}) {
    const TextPart part{text, true};
    size_t n_asked = 0;
    const Encoding whole = tokenizer.encode_parts({&part, 1}, true, [&] { return ++n_asked == 0; });
    CHECK(whole.ids == tokenizer.encode_parts({&part, 1}).ids);
    CHECK(n_asked >= text.size() / n_steps_per_question);
    const size_t n_in_all = n_asked;
    for (const size_t last : {size_t{1}, n_in_all / 2, n_in_all}) {
      n_asked = 0;
      CHECK_THROWS_AS(tokenizer.encode_parts({&part, 1}, true, [&] { return ++n_asked == last; }), Cancelled);
      CHECK(n_asked == last);
    }
  }
}

TEST_CASE("scores that are no numbers are refused") {
  for (const float score : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
    for (const std::string model : {"llama", "t5"}) {
      Vocab vocab = test::spm_vocab(model);
      add_token(&vocab, "a", TokenType::normal, score);
      refused(vocab, "score of token 260");
    }
  }
  for (const float score : {std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest(), 1e-45f, -0.0f}) {
    for (const std::string model : {"llama", "t5"}) {
      Vocab vocab = test::spm_vocab(model);
      add_token(&vocab, "a", TokenType::normal, score);
      const Tokenizer tokenizer(vocab);
      CHECK(tokenizer.decode(tokenizer.encode("aaa aaa")) == "aaa aaa");
    }
  }
}

TEST_CASE("byte tokens that are none are refused") {
  for (const std::string text : {"<0x0g>", "<0xfF>", "0x00", "<0x000>", "\xff"}) {
    Vocab vocab = test::spm_vocab();
    add_token(&vocab, text, TokenType::byte);
    refused(vocab, "type of a byte");
  }
}

TEST_CASE("tokens that are no text, and types of no meaning, do no harm") {
  for (const std::string model : {"gpt2", "llama", "t5"}) {
    Vocab vocab = model == "gpt2" ? test::byte_level_vocab() : test::spm_vocab(model);
    for (const std::string& text : {std::string("\xff\xfe"), std::string("a\0b", 3), std::string(1, '\0'),
                                    std::string("\xc3"), std::string(100000, 'z'), std::string("\x01unknown"),
                                    std::string("\x01"
                                                "5")}) {
      add_token(&vocab, text, TokenType::normal, -1);
      add_token(&vocab, text + "u", TokenType::user_defined);
      add_token(&vocab, text + "c", TokenType::control);
      add_token(&vocab, text + "?", static_cast<TokenType>(77));
    }
    const Tokenizer tokenizer(vocab);
    for (const std::string& text : {std::string("\xff\xfe a\xc3"), std::string("a\0b\0", 4), std::string(100, 'z'),
                                    std::string("\x01unknown\x01"
                                                "5")}) {
      CHECK(tokenizer.decode(tokenizer.encode(text)) == text);
    }
  }
}

TEST_CASE("every entry may be a control token: then nothing can be said, and no control token comes out") {
  Vocab vocab = test::byte_level_vocab();
  for (TokenType& type : vocab.types) type = TokenType::control;
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.encode("a").empty());
  CHECK(tokenizer.encode("a", true) == Ids{'a'});
}

TEST_CASE("nested special tokens in a long text take no more than a few walks each") {
  Vocab vocab = test::byte_level_vocab();
  for (size_t n = 1; n <= 64; ++n) add_token(&vocab, std::string(n + 1, 'a'), TokenType::user_defined);
  const Tokenizer tokenizer(vocab);
  const std::string text(200001, 'a');
  const Ids ids = tokenizer.encode(text);
  CHECK(ids.size() == (200001 + 64) / 65);
  CHECK(tokenizer.decode(ids) == text);
}

}  // namespace
}  // namespace headroom::tokenizer_hostile_test
