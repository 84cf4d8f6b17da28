// Control and user-defined tokens, classes, and ends of turns: which tokens a text may and may not become.
#include <catch2/catch.hpp>

#include "engine/text/special_matcher.h"
#include "engine/text/token_table.h"
#include "engine/text/tokenizer.h"
#include "tests/support/tiny_vocabs.h"

namespace headroom::tokenizer_special_test {
namespace {

using test::add_merge;
using test::add_token;
using Ids = std::vector<TokenId>;

TEST_CASE("control tokens are matched only where they are allowed") {
  Vocab vocab = test::byte_level_vocab();
  const TokenId start = add_token(&vocab, "<s>", TokenType::control);
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.encode("<s>a") == Ids{'<', 's', '>', 'a'});
  CHECK(tokenizer.encode("<s>a", true) == Ids{start, 'a'});
  CHECK(tokenizer.encode("a<s><s>", true) == Ids{'a', start, start});
  CHECK(tokenizer.is_control(start));
  CHECK_FALSE(tokenizer.is_control('a'));
  CHECK(tokenizer.piece(start).empty());
  CHECK(tokenizer.piece(start, true) == "<s>");
  CHECK(tokenizer.decode(Ids{start, 'a'}) == "a");
  CHECK(tokenizer.decode(Ids{start, 'a'}, true) == "<s>a");
}

TEST_CASE("user-defined tokens are matched in any text, as they stand") {
  Vocab vocab = test::byte_level_vocab();
  const TokenId ab = add_merge(&vocab, "a", "b");
  const TokenId tool = add_token(&vocab, "b<tool>", TokenType::user_defined);
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.encode("ab<tool>ab") == Ids{'a', tool, ab});
  CHECK(tokenizer.piece(tool) == "b<tool>");
  CHECK_FALSE(tokenizer.is_control(tool));
}

TEST_CASE("the longest special token takes its places first, then of equal length the lower id, then the leftmost") {
  SpecialMatcher matcher;
  matcher.add("aa", 1, true);
  matcher.add("aaa", 2, true);
  matcher.add("ab", 3, true);
  matcher.add("xaaay", 4, false);
  const auto found = [&](std::string_view text, bool allow_control = false) {
    std::vector<std::array<int64_t, 3>> list;
    const SpecialMatcher::Stretch whole{0, text.size()};
    for (const auto& m : matcher.find(text, {&whole, allow_control ? size_t{1} : 0})) {
      list.push_back({static_cast<int64_t>(m.begin), static_cast<int64_t>(m.n_bytes), m.id});
    }
    return list;
  };
  using List = std::vector<std::array<int64_t, 3>>;
  CHECK(found("") == List{});
  CHECK(found("aaaaa") == List{{0, 3, 2}, {3, 2, 1}});
  CHECK(found("aab") == List{{0, 2, 1}});  // "aa" before "ab": the lower id, though both fit
  CHECK(found("aaab") == List{{0, 3, 2}});
  CHECK(found("zaaz") == List{{1, 2, 1}});
  CHECK(found("xaaay") == List{{1, 3, 2}});
  CHECK(found("xaaay", true) == List{{0, 5, 4}});
  CHECK(found("aaxaaay", true) == List{{0, 2, 1}, {2, 5, 4}});
}

TEST_CASE("what a longer token took cuts a place short, not off") {
  SpecialMatcher matcher;
  matcher.add("bcdef", 1, true);
  matcher.add("abc", 2, true);
  matcher.add("a", 3, true);
  const auto found = matcher.find("abcdef", {});
  REQUIRE(found.size() == 2);
  CHECK(found[0].id == 3);
  CHECK(found[1].id == 1);
}

TEST_CASE("a merge may not make a control token out of text") {
  Vocab vocab = test::byte_level_vocab();
  add_token(&vocab, "ab", TokenType::control);
  vocab.merges.push_back("a b");
  CHECK_THROWS_WITH(Tokenizer(vocab), Catch::Contains("merge 0 is 'a b'"));
  vocab = test::byte_level_vocab("llama-bpe");  // whole words first
  add_token(&vocab, "ab", TokenType::control);
  CHECK(Tokenizer(vocab).encode("ab") == Ids{'a', 'b'});
}

TEST_CASE("a known end of turn is a control token, whatever the file calls it") {
  for (const TokenType type : {TokenType::normal, TokenType::user_defined, TokenType::control}) {
    Vocab vocab = test::byte_level_vocab();
    const TokenId end = add_token(&vocab, "<|im_end|>", type);
    const Tokenizer tokenizer(vocab);
    CHECK(tokenizer.is_control(end));
    CHECK(tokenizer.is_end_of_turn(end));
    CHECK(tokenizer.token_class(end) == TokenClass::special);
    CHECK(tokenizer.encode("<|im_end|>").size() == 10);
    CHECK(tokenizer.encode("<|im_end|>", true) == Ids{end});
  }
}

TEST_CASE("an ordinary </s> is HTML, unless the file names it") {
  Vocab vocab = test::byte_level_vocab();
  const TokenId end = add_token(&vocab, "</s>");
  CHECK_FALSE(Tokenizer(vocab).is_control(end));
  CHECK_FALSE(Tokenizer(vocab).is_end_of_turn(end));
  vocab.eos_id = end;
  CHECK(Tokenizer(vocab).is_control(end));
  CHECK(Tokenizer(vocab).is_end_of_turn(end));
}

TEST_CASE("the ids that a file names end a turn; the beginning does not") {
  Vocab vocab = test::byte_level_vocab();
  vocab.bos_id = add_token(&vocab, "<begin>", TokenType::control);
  vocab.eos_id = add_token(&vocab, "<stop>", TokenType::control);
  vocab.eot_id = add_token(&vocab, "<turn>", TokenType::control);
  vocab.eom_id = add_token(&vocab, "<message>", TokenType::control);
  const TokenId other = add_token(&vocab, "<|im_start|>", TokenType::control);
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.is_end_of_turn(vocab.eos_id));
  CHECK(tokenizer.is_end_of_turn(vocab.eot_id));
  CHECK(tokenizer.is_end_of_turn(vocab.eom_id));
  CHECK_FALSE(tokenizer.is_end_of_turn(vocab.bos_id));
  CHECK_FALSE(tokenizer.is_end_of_turn(other));
  CHECK_FALSE(tokenizer.is_end_of_turn('a'));
}

TEST_CASE("an end that is an ordinary word keeps its meaning in a text, but is special to FastGen") {
  Vocab vocab = test::byte_level_vocab();
  vocab.bos_id = ',';
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.encode("a,b") == Ids{'a', ',', 'b'});
  CHECK_FALSE(tokenizer.is_control(','));
  CHECK(tokenizer.token_class(',') == TokenClass::special);
  CHECK(tokenizer.token_class(';') == TokenClass::punctuation);
}

TEST_CASE("punctuation: general category P and nothing else, white space around it aside") {
  for (const char* text :
       {".", "...", " ,", "?!\n", "\u3000\u3002", "\u00ab", "(_)", "\u2014", "\t-\u00a0", "'", "\"%&*@#"}) {
    INFO(text);
    CHECK(is_punctuation(text));
  }
  for (const char* text : {"",  " ", "\n\n", "a", ".a", "a.",     ". .",    "$",    "+",     "<",       "=",
                           "|", "~", "^",    "`", "1.", "\u20ac", "\ufffd", "\xff", ".\xff", "\xe2\x80"}) {
    INFO(text);
    CHECK_FALSE(is_punctuation(text));
  }
}

TEST_CASE("classes by entry: of byte-level tokens their bytes, of SentencePiece's their text, byte tokens included") {
  Vocab vocab = test::byte_level_vocab();
  const TokenId space_dot = add_merge(&vocab, " ", ".");
  const TokenId dash = add_token(&vocab, test::letters("\u2014"));
  const TokenId half = add_token(&vocab, test::letters("\xe2\x80"));
  const TokenId tool = add_token(&vocab, "<tool>", TokenType::user_defined);
  const Tokenizer bpe(vocab);
  CHECK(bpe.token_class(space_dot) == TokenClass::punctuation);
  CHECK(bpe.token_class(dash) == TokenClass::punctuation);
  CHECK(bpe.token_class(half) == TokenClass::plain);
  CHECK(bpe.token_class(tool) == TokenClass::plain);
  CHECK(bpe.token_class('a') == TokenClass::plain);
  CHECK(bpe.token_class(' ') == TokenClass::plain);

  vocab = test::spm_vocab();
  const TokenId comma = add_token(&vocab, "\u2581,", TokenType::normal, -1);
  const TokenId lines = add_token(&vocab, "\n\n", TokenType::user_defined);
  const Tokenizer spm(vocab);
  CHECK(spm.token_class(comma) == TokenClass::punctuation);
  CHECK(spm.token_class(lines) == TokenClass::plain);
  CHECK(spm.token_class(test::spm_byte_0 + '!') == TokenClass::punctuation);
  CHECK(spm.token_class(test::spm_byte_0 + 0xe2) == TokenClass::plain);
  CHECK(spm.token_class(test::spm_space) == TokenClass::plain);
  CHECK(spm.token_class(vocab.bos_id) == TokenClass::special);
  CHECK(spm.token_class(vocab.eos_id) == TokenClass::special);
  CHECK(spm.token_class(vocab.unknown_id) == TokenClass::plain);
}

}  // namespace
}  // namespace headroom::tokenizer_special_test
