// SentencePiece vocabularies: merges by score, unigram by the best sum, byte tokens for the rest, and the space prefix.
#include <catch2/catch.hpp>
#include <limits>

#include "engine/base/error.h"
#include "engine/text/tokenizer.h"
#include "tests/support/tiny_vocabs.h"

namespace headroom::tokenizer_spm_test {
namespace {

using test::add_token;
using test::spm_byte_0;
using test::spm_space;
using Ids = std::vector<TokenId>;

TEST_CASE("pieces merge by score, the best first, of equal scores the leftmost") {
  Vocab vocab = test::spm_vocab();
  vocab.add_space_prefix = false;
  const TokenId a = add_token(&vocab, "a", TokenType::normal, -5);
  const TokenId b = add_token(&vocab, "b", TokenType::normal, -5);
  const TokenId c = add_token(&vocab, "c", TokenType::normal, -5);
  const TokenId ab = add_token(&vocab, "ab", TokenType::normal, -2);
  const TokenId bc = add_token(&vocab, "bc", TokenType::normal, -1);
  const TokenId aa = add_token(&vocab, "aa", TokenType::normal, -3);
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.encode("abc") == Ids{a, bc});
  CHECK(tokenizer.encode("ab") == Ids{ab});
  CHECK(tokenizer.encode("aaa") == Ids{aa, a});
  CHECK(tokenizer.encode("cba") == Ids{c, b, a});
  CHECK(tokenizer.encode("a b") == Ids{a, spm_space, b});
}

TEST_CASE("characters without a piece become their bytes") {
  Vocab vocab = test::spm_vocab();
  vocab.add_space_prefix = false;
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.encode("é") == Ids{spm_byte_0 + 0xc3, spm_byte_0 + 0xa9});
  CHECK(tokenizer.decode(Ids{spm_byte_0 + 0xc3, spm_byte_0 + 0xa9}) == "é");
  CHECK(tokenizer.encode(std::string_view("\0\n", 2)) == Ids{spm_byte_0, spm_byte_0 + '\n'});
}

TEST_CASE("invalid bytes, and the character that stands for a space, go as bytes and come back") {
  for (const std::string model : {"llama", "t5"}) {
    const Tokenizer tokenizer(test::chatty_spm_vocab(model));
    for (const std::string text : {"\xff", "a\xc3", "\xe2\x96", "\u2581", " \u2581 ", "\xed\xa0\x80", "\ufffd",
                                   "\xf4\x90\x80\x80", "hello\xffhello"}) {
      INFO(model << ": " << text);
      CHECK(tokenizer.decode(tokenizer.encode(text)) == text);
    }
  }
}

TEST_CASE("the space prefix: before the first piece and after a special token, taken off again by decode") {
  Vocab vocab = test::spm_vocab();
  const TokenId a = add_token(&vocab, "a", TokenType::normal, -5);
  const TokenId space_a = add_token(&vocab, "\u2581a", TokenType::normal, -1);
  const TokenId tag = add_token(&vocab, "<b>", TokenType::user_defined);
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.encode("a") == Ids{space_a});
  CHECK(tokenizer.encode("a", false, false) == Ids{a});
  CHECK(tokenizer.encode(" a") == Ids{spm_space, space_a});
  CHECK(tokenizer.encode("") == Ids{});
  CHECK(tokenizer.encode("a<b>a") == Ids{space_a, tag, space_a});
  CHECK(tokenizer.encode("<s>a", true) == Ids{vocab.bos_id, space_a});
  for (const std::string text : {"a", " a", "  a", " ", "a<b>a", "a<b> a", "<b><b>", "<b> <b>", "\xff"}) {
    INFO("'" << text << "'");
    CHECK(tokenizer.decode(tokenizer.encode(text)) == text);
    const Ids rest = tokenizer.encode(text, false, false);
    CHECK(tokenizer.decode(rest, false, false) == text);
  }
  CHECK(tokenizer.decode(Ids{vocab.bos_id, space_a}) == "a");
  CHECK(tokenizer.decode(tokenizer.encode("<s>a</s> a", true), true) == "<s>a</s> a");
  CHECK(tokenizer.piece(space_a) == " a");
}

TEST_CASE("without the flag there is no space prefix") {
  Vocab vocab = test::chatty_spm_vocab("llama");
  vocab.add_space_prefix = false;
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.decode(tokenizer.encode(" hello")) == " hello");
  CHECK(tokenizer.encode("hello").size() == 1);
  CHECK(tokenizer.piece(tokenizer.encode("hello")[0]) == "hello");
}

TEST_CASE("text of control tokens stays text, even where pieces would merge into it") {
  for (const std::string model : {"llama", "t5"}) {
    const Vocab vocab = test::chatty_spm_vocab(model);
    const Tokenizer tokenizer(vocab);
    for (const std::string text : {"<s>", "</s>", "<s></s>", "<end_of_turn>", "<unk>", "<0x41>", "hello</s>"}) {
      INFO(model << ": " << text);
      const Ids ids = tokenizer.encode(text);
      for (const TokenId id : ids) {
        CHECK_FALSE(tokenizer.is_control(id));
        CHECK(id != vocab.unknown_id);
      }
      CHECK(tokenizer.decode(ids) == text);
    }
    CHECK(tokenizer.encode("</s>", true) == Ids{vocab.eos_id});
  }
}

TEST_CASE("unigram takes the pieces with the largest sum of scores") {
  Vocab vocab = test::spm_vocab("t5");
  vocab.add_space_prefix = false;
  const TokenId a = add_token(&vocab, "a", TokenType::normal, -1);
  const TokenId b = add_token(&vocab, "b", TokenType::normal, -2);
  const TokenId ab = add_token(&vocab, "ab", TokenType::normal, -2.5f);
  const TokenId ba = add_token(&vocab, "ba", TokenType::normal, -1.5f);
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.encode("ab") == Ids{ab});      // -2.5 against -3
  CHECK(tokenizer.encode("aba") == Ids{a, ba});  // -2.5 against -3.5 and -4
  CHECK(tokenizer.encode("abb") == Ids{ab, b});  // -4.5 against -5
  CHECK(tokenizer.encode("aé") == Ids{a, spm_byte_0 + 0xc3, spm_byte_0 + 0xa9});
}

TEST_CASE("runs of spaces that an older converter wrote as U+2581 are merged, not matched") {
  Vocab vocab = test::spm_vocab();
  vocab.add_space_prefix = false;
  const TokenId two = add_token(&vocab, "\u2581\u2581", TokenType::user_defined, -1);
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.encode("  ") == Ids{two});
  CHECK(tokenizer.piece(two) == "  ");
  CHECK(tokenizer.decode(tokenizer.encode("\u2581\u2581")) == "\u2581\u2581");
}

TEST_CASE("vocabularies that would lose or change text are refused") {
  const auto refused = [](const Vocab& vocab, const char* why) {
    try {
      Tokenizer tokenizer(vocab);
      FAIL("accepted, expected: " << why);
    } catch (const Error& error) {
      CHECK_THAT(error.what(), Catch::Contains(why));
      CHECK(error.kind() == ErrorKind::unsupported);
    }
  };
  Vocab vocab = test::spm_vocab();
  vocab.types[spm_byte_0 + 7] = TokenType::control;
  refused(vocab, "byte 7");
  vocab = test::spm_vocab();
  vocab.tokens[spm_space] = std::string("x");
  refused(vocab, "space");
  vocab = test::spm_vocab("t5");
  vocab.precompiled_charsmap = "1234";
  refused(vocab, "precompiled_charsmap");
  vocab = test::spm_vocab("t5");
  vocab.remove_extra_whitespaces = true;
  refused(vocab, "remove_extra_whitespaces");
  vocab = test::spm_vocab();
  add_token(&vocab, "<|placeholder1|>", TokenType::control);
  refused(vocab, "Phi-3");
}

}  // namespace
}  // namespace headroom::tokenizer_spm_test
