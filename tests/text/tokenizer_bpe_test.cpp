// Byte-level BPE: words and merges by hand, and random vocabularies against the definition of merging.
#include <catch2/catch.hpp>
#include <chrono>
#include <random>

#include "engine/base/error.h"
#include "engine/text/pretokenizer.h"
#include "engine/text/tokenizer.h"
#include "tests/support/effort.h"
#include "tests/support/tiny_vocabs.h"

namespace headroom::tokenizer_bpe_test {
namespace {

using test::add_merge;
using Ids = std::vector<TokenId>;
using Words = std::vector<std::string>;

Words words_of(const std::string& pre, std::string_view text) {
  std::vector<std::string_view> views;
  Pretokenizer(pre).split(text, &views);
  return Words(views.begin(), views.end());
}

TEST_CASE("words of GPT-2: lower-case contractions, one leading space, the last space goes to the next word") {
  CHECK(words_of("gpt-2", "I don't know, he's 42!") == Words{"I", " don", "'t", " know", ",", " he", "'s", " 42", "!"});
  CHECK(words_of("gpt-2", "DON'T") == Words{"DON", "'", "T"});
  CHECK(words_of("gpt-2", "a   b\n\nc  ") == Words{"a", "  ", " b", "\n", "\n", "c", "  "});
  CHECK(words_of("gpt-2", "Größe 你好, мир") == Words{"Größe", " 你好", ",", " мир"});
  CHECK(words_of("gpt-2", "a\u00a0\u3000b") == Words{"a", "\u00a0", "\u3000", "b"});
  CHECK(words_of("gpt-2", "") == Words{});
}

TEST_CASE("words of SmolLM: digits stand alone, and take no space") {
  CHECK(words_of("smollm", "in 2024, x42") == Words{"in", " ", "2", "0", "2", "4", ",", " x", "4", "2"});
  CHECK(words_of("smollm", "a   7   b") == Words{"a", "   ", "7", "  ", " b"});
  CHECK(words_of("smollm", "½٣") == Words{"½", "٣"});
}

TEST_CASE(
    "words of Llama 3: numbers in threes from the left, any one character before letters, lines with their ends") {
  CHECK(words_of("llama-bpe", "1234567 x") == Words{"123", "456", "7", " x"});
  CHECK(words_of("llama-bpe", "WE'LL (see)") == Words{"WE", "'LL", " (", "see", ")"});
  CHECK(words_of("llama-bpe", "(see\tme") == Words{"(see", "\tme"});
  CHECK(words_of("llama-bpe", "end.\r\n\n  next") == Words{"end", ".\r\n\n", " ", " next"});
  CHECK(words_of("llama-bpe", "a  \n \n  b") == Words{"a", "  \n \n", " ", " b"});
  CHECK(words_of("llama-bpe", "'\u017f") == Words{"'\u017f"});  // long s is a letter, not the s of a contraction
}

TEST_CASE("words of Qwen 2 differ from Llama 3's in numbers only") {
  CHECK(words_of("qwen2", "1234 WE'LL.\n") == Words{"1", "2", "3", "4", " WE", "'LL", ".\n"});
}

TEST_CASE("letters newer than PCRE2's Unicode are letters, and U+180E is no white space") {
  CHECK(words_of("gpt-2", " \U00031350\U0002ebf0!") == Words{" \U00031350\U0002ebf0", "!"});
  CHECK(words_of("gpt-2", "a \u180eb") == Words{"a", " \u180e", "b"});
}

TEST_CASE("bytes that are no UTF-8 are words of their own, and nothing is lost") {
  CHECK(words_of("gpt-2", "ab\xff\xfe c\xc3") == Words{"ab", "\xff\xfe", " c", "\xc3"});
  CHECK(words_of("gpt-2", "\xed\xa0\x80 x") == Words{"\xed\xa0\x80", " x"});  // a surrogate
  CHECK(words_of("gpt-2", std::string_view("a\0b", 3)) == Words{"a", std::string(1, '\0'), "b"});
}

TEST_CASE("an unknown pre-tokeniser is refused by name, and so is none") {
  for (const char* pre : {"default", "deepseek-llm", "gpt2", "tekken", "LLAMA3"}) {
    CHECK_THROWS_WITH(Tokenizer(test::byte_level_vocab(pre)), Catch::Contains("'" + std::string(pre) + "'"));
  }
  CHECK_THROWS_WITH(Tokenizer(test::byte_level_vocab("")), Catch::Contains("no tokenizer.ggml.pre"));
  try {
    Tokenizer{test::byte_level_vocab("tekken")};
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::unsupported);
  }
}

TEST_CASE("merges apply in the order of the list, not of the text") {
  Vocab vocab = test::byte_level_vocab();
  const TokenId bc = add_merge(&vocab, "b", "c");
  const TokenId ab = add_merge(&vocab, "a", "b");
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.encode("abc") == Ids{'a', bc});
  CHECK(tokenizer.encode("abab") == Ids{ab, ab});
  CHECK(tokenizer.encode("abcab") == Ids{'a', bc, ab});
}

TEST_CASE("of equal merges the leftmost comes first, and what grew merges on") {
  Vocab vocab = test::byte_level_vocab();
  const TokenId aa = add_merge(&vocab, "a", "a");
  const TokenId a4 = add_merge(&vocab, "aa", "aa");
  const TokenId a3 = add_merge(&vocab, "aa", "a");
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.encode("aa") == Ids{aa});
  CHECK(tokenizer.encode("aaa") == Ids{a3});
  CHECK(tokenizer.encode("aaaaaa") == Ids{a4, aa});
  CHECK(tokenizer.encode("aaaaaaa") == Ids{a4, a3});
}

TEST_CASE("of a pair that is listed twice the first place counts") {
  Vocab vocab = test::byte_level_vocab();
  const TokenId ab = add_merge(&vocab, "a", "b");
  add_merge(&vocab, "b", "c");
  add_merge(&vocab, "a", "b");
  CHECK(Tokenizer(vocab).encode("abc") == Ids{ab, 'c'});
}

TEST_CASE("words do not merge into each other, the space belongs to the word after it") {
  Vocab vocab = test::byte_level_vocab();
  const TokenId space_b = add_merge(&vocab, " ", "b");
  add_merge(&vocab, "a", " ");
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.encode("a b") == Ids{'a', space_b});
}

TEST_CASE("with Llama 3's pre-tokeniser a word in the vocabulary is one token, whatever the merges say") {
  for (const std::string pre : {"llama-bpe", "dbrx"}) {
    Vocab vocab = test::byte_level_vocab(pre);
    const TokenId ab = add_merge(&vocab, "a", "b");
    const TokenId abc = test::add_token(&vocab, "abc");  // no merge makes it
    CHECK(Tokenizer(vocab).encode("abc") == (pre == "llama-bpe" ? Ids{abc} : Ids{ab, 'c'}));
  }
}

TEST_CASE("a byte without a token is left out, with its place; what stands beside it does not merge") {
  Vocab vocab = test::byte_level_vocab();
  vocab.tokens[0x1d] = "something else";
  const TokenId ab = add_merge(&vocab, "a", "b");
  const Tokenizer tokenizer(vocab);
  const auto encode = [&](std::string_view text) {
    const TextPart part{text, false};
    return tokenizer.encode_parts({&part, 1});
  };
  CHECK(encode("ab").ids == Ids{ab});
  CHECK(encode("a\x1d"
               "b")
            .ids == Ids{'a', 'b'});
  CHECK(encode("a\x1d"
               "b")
            .left_out == std::vector<size_t>{1});
  CHECK(encode("a\x1d"
               "b")
            .ends == std::vector<size_t>{1, 3});
  CHECK(encode("\x1d"
               "ab\x1d\x1d")
            .left_out == std::vector<size_t>{0, 3, 4});
  CHECK(encode("\x1d"
               "ab\x1d\x1d")
            .ids == Ids{ab});
  CHECK(encode("\x1d").ids.empty());
}

// Merging by definition: repeatedly merge the neighbouring pair with the lowest rank in the list, the leftmost on a
// tie.
Ids merge_plainly(const Vocab& vocab, std::string_view word) {
  std::vector<std::string> symbols;
  for (const char c : word) symbols.push_back(test::byte_letter(static_cast<unsigned char>(c)));
  while (true) {
    size_t best_rank = vocab.merges.size(), best = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = std::find(vocab.merges.begin(), vocab.merges.end(), symbols[i] + " " + symbols[i + 1]);
      const auto rank = static_cast<size_t>(found - vocab.merges.begin());
      if (rank < best_rank) {
        best_rank = rank;
        best = i;
      }
    }
    if (best_rank == vocab.merges.size()) break;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  Ids ids;
  for (const std::string& symbol : symbols) {
    const auto found = std::find(vocab.tokens.begin(), vocab.tokens.end(), symbol);
    ids.push_back(static_cast<TokenId>(found - vocab.tokens.begin()));
  }
  return ids;
}

TEST_CASE("random merges on random words equal merging as it is defined") {
  std::mt19937 random(1);
  for (int round = 0; round < 40; ++round) {
    Vocab vocab = test::byte_level_vocab();
    std::vector<std::string> pieces{"a", "b", "c"};
    const auto any_piece = [&] { return pieces[random() % pieces.size()]; };
    while (vocab.merges.size() < 30) {
      const std::string left = any_piece(), right = any_piece();
      if (left.size() + right.size() > 9) continue;
      add_merge(&vocab, left, right);
      pieces.push_back(left + right);
    }
    const Tokenizer tokenizer(vocab);
    for (int i = 0; i < 50; ++i) {
      std::string word;
      for (size_t n = 1 + random() % 40; n > 0; --n) word += static_cast<char>('a' + random() % 3);
      INFO("round " << round << ", word " << word);
      REQUIRE(tokenizer.encode(word) == merge_plainly(vocab, word));
    }
  }
}

TEST_CASE("a word of a megabyte, and runs of a megabyte, take little more than their length") {
  constexpr size_t n = test::has_address_sanitizer ? 1 << 17 : 1 << 20;
  std::mt19937 random(2);
  std::string word(n, 'h');
  for (char& c : word) c = "helo"[random() % 4];
  for (const std::string pre : {"gpt-2", "smollm", "llama-bpe", "qwen2"}) {
    const Tokenizer tokenizer(test::chatty_byte_level_vocab(pre));
    for (const std::string& text : {word, std::string(n, ' '), std::string(n, '\n'), std::string(n, '.'),
                                    std::string(n, '1'), std::string(n, '\xff'), std::string(n, '<')}) {
      const auto start = std::chrono::steady_clock::now();
      const Ids ids = tokenizer.encode(text);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      INFO(pre << " on a run of '" << text[0] << "': " << seconds.count() << " s");
      CHECK(tokenizer.decode(ids) == text);
      CHECK(seconds.count() < 10);  // a quadratic merge of this length takes hours
    }
  }
}

}  // namespace
}  // namespace headroom::tokenizer_bpe_test
