// One text by several writers: which parts are tokenised together, and which tokens a user's part can never become.
#include <catch2/catch.hpp>
#include <random>

#include "engine/text/tokenizer.h"
#include "tests/support/effort.h"
#include "tests/support/plain_prompt.h"
#include "tests/support/tiny_vocabs.h"

namespace headroom::tokenizer_parts_test {
namespace {

using test::add_merge;
using test::add_token;
using Ids = std::vector<TokenId>;
using Parts = std::vector<TextPart>;

TextPart by_template(std::string_view text) {
  return {text, true};
}
TextPart by_user(std::string_view text) {
  return {text, false};
}

TEST_CASE("what lies between two control tokens is one text, whoever wrote it") {
  Vocab vocab = test::byte_level_vocab();
  const TokenId ab = add_merge(&vocab, "a", "b");
  const TokenId s = add_token(&vocab, "<s>", TokenType::control);
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.encode_parts(Parts{by_template("<s>a"), by_user("b")}).ids == Ids{s, ab});
  CHECK(tokenizer.encode_parts(Parts{by_user("a"), by_template("b<s>"), by_user("b")}).ids == Ids{ab, s, 'b'});
  CHECK(tokenizer.encode_parts(Parts{by_user("a"), by_user(""), by_user("b")}).ids == Ids{ab});
  CHECK(tokenizer.encode_parts({}).ids.empty());
}

TEST_CASE("a control token must stand in the template's text as a whole") {
  Vocab vocab = test::byte_level_vocab();
  const TokenId s = add_token(&vocab, "<s>", TokenType::control);
  const Tokenizer tokenizer(vocab);
  const auto encode = [&](const Parts& parts) { return tokenizer.encode_parts(parts).ids; };
  CHECK(encode({by_template("<"), by_template("s>")}) == Ids{s});  // one writer
  CHECK(encode({by_user("<s>")}) == Ids{'<', 's', '>'});
  CHECK(encode({by_template("<"), by_user("s>")}) == Ids{'<', 's', '>'});
  CHECK(encode({by_user("<s"), by_template("><s>")}) == Ids{'<', 's', '>', s});
  CHECK(encode({by_template("<"), by_user("s"), by_template(">")}) == Ids{'<', 's', '>'});
}

TEST_CASE("a user-defined token is matched across writers") {
  Vocab vocab = test::byte_level_vocab();
  const TokenId lines = add_token(&vocab, "\n\n", TokenType::user_defined);
  CHECK(Tokenizer(vocab).encode_parts(Parts{by_template("a\n"), by_user("\nb")}).ids == Ids{'a', lines, 'b'});
}

TEST_CASE("SentencePiece's space prefix stands before the joined text, not before each part") {
  Vocab vocab = test::spm_vocab();
  add_token(&vocab, "a", TokenType::normal, -2);
  add_token(&vocab, "b", TokenType::normal, -3);
  const TokenId space_a = add_token(&vocab, "\u2581a", TokenType::normal, -1);
  const TokenId b = space_a - 1;
  const Tokenizer tokenizer(vocab);
  const Encoding encoding = tokenizer.encode_parts(Parts{by_template("<s>"), by_user("a"), by_template("b</s>a")});
  CHECK(encoding.ids == Ids{vocab.bos_id, space_a, b, vocab.eos_id, space_a});
  CHECK(encoding.ends == std::vector<size_t>{3, 4, 5, 9, 10});
}

TEST_CASE("every token ends where its bytes end") {
  for (const std::string pre : {"gpt-2", "llama-bpe", "smollm"}) {
    const Tokenizer tokenizer(test::chatty_byte_level_vocab(pre));
    const Parts parts{by_template("<|im_start|>hello\xc3"), by_user("\xa9  <tool>\xff'"), by_template("s<|im_end|>")};
    const Encoding encoding = tokenizer.encode_parts(parts);
    size_t end = 0;
    REQUIRE(encoding.ends.size() == encoding.ids.size());
    for (size_t i = 0; i < encoding.ids.size(); ++i)
      CHECK(encoding.ends[i] == (end += tokenizer.piece(encoding.ids[i], true).size()));
    CHECK(encoding.left_out.empty());
  }
}

// Scaffold ────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST_CASE("what a template writes as a user-defined token is closed to users") {
  Vocab vocab = test::byte_level_vocab();
  const TokenId turn = add_token(&vocab, "<turn>", TokenType::user_defined);
  const TokenId role = add_token(&vocab, "<|user|>", TokenType::user_defined);
  const TokenId tool = add_token(&vocab, "<tool>", TokenType::user_defined);
  const TokenId lines = add_token(&vocab, "\n\n", TokenType::user_defined);
  const TokenId digit = add_token(&vocab, "\u0663", TokenType::user_defined);
  const Tokenizer tokenizer(vocab, {"\n\n<turn>\n\n", "<|", "user", "|>\n", "since \u0663"});

  CHECK(tokenizer.encode("<turn>", true) == Ids{turn});
  CHECK(tokenizer.encode("<turn>") == Ids{'<', 't', 'u', 'r', 'n', '>'});
  CHECK(tokenizer.encode_parts(Parts{by_template("<turn"), by_user(">")}).ids.size() == 6);
  CHECK(tokenizer.encode("<|user|>", true) == Ids{role});  // put together by the template
  CHECK(tokenizer.encode("<|user|>").size() == 8);
  CHECK(tokenizer.encode("<tool>") == Ids{tool});  // the template never writes it
  CHECK(tokenizer.encode("\n\n") == Ids{lines});   // white space is never closed
  CHECK(tokenizer.encode("\u0663") == Ids{digit});

  CHECK(tokenizer.is_closed(turn));
  CHECK(tokenizer.is_closed(role));
  CHECK_FALSE(tokenizer.is_closed(tool));
  CHECK_FALSE(tokenizer.is_closed(lines));
  // Everything else treats it as the file says: visible, and plain for FastGen.
  CHECK_FALSE(tokenizer.is_control(turn));
  CHECK(tokenizer.piece(turn) == "<turn>");
  CHECK(tokenizer.token_class(turn) == TokenClass::plain);
}

TEST_CASE("an ordinary token that merging makes of a template's tag is closed to users; words are not") {
  Vocab vocab = test::spm_vocab("t5");  // unigram takes the longest pieces
  const TokenId control = add_token(&vocab, "<stop>", TokenType::control);
  for (const char* piece : {"<", ">", "t", "u", "r", "n", "U", "s"}) add_token(&vocab, piece, TokenType::normal, -5);
  const TokenId tag = add_token(&vocab, "<turn>", TokenType::normal, -1);
  const TokenId word = add_token(&vocab, "Us", TokenType::normal, -1);
  vocab.add_space_prefix = false;
  CHECK(Tokenizer(vocab).encode("<turn>") == Ids{tag});
  const Tokenizer tokenizer(vocab, {"<turn>", "Us"});
  CHECK(tokenizer.encode("<turn>", true) == Ids{tag});
  CHECK(tokenizer.encode("<turn>").size() == 6);
  CHECK(tokenizer.encode("Us") == Ids{word});
  CHECK(tokenizer.is_closed(control));
}

TEST_CASE("an ordinary token that no text gives stays so, but for a file without types") {
  Vocab vocab = test::byte_level_vocab();
  const TokenId turn = add_token(&vocab, "<turn>");
  const Tokenizer untyped(vocab, {"<turn>\n"});
  CHECK(untyped.encode("<turn>", true) == Ids{turn});
  CHECK(untyped.encode("<turn>").size() == 6);
  add_token(&vocab, "<stop>", TokenType::control);
  CHECK(Tokenizer(vocab, {"<turn>\n"}).encode("<turn>", true).size() == 6);  // like llama.cpp

  vocab = test::byte_level_vocab();
  add_merge(&vocab, "<", "x");
  const TokenId tag = add_merge(&vocab, "<x", ">");
  add_merge(&vocab, "<x>", "y");
  CHECK(Tokenizer(vocab, {"<x>"}).encode("<x>y", true) ==
        Ids{tag, 'y'});  // a merge that goes beyond a closed token is skipped
}

TEST_CASE("the file's own names are closed, whatever their shape and whether the template writes them") {
  Vocab vocab = test::byte_level_vocab();
  vocab.eos_id = add_token(&vocab, "STOP", TokenType::user_defined);
  vocab.eot_id = add_token(&vocab, "\n", TokenType::user_defined);
  const TokenId end = add_token(&vocab, "<end_of_turn>", TokenType::user_defined);
  const Tokenizer tokenizer(vocab);
  CHECK(tokenizer.encode("STOP").size() == 4);
  CHECK(tokenizer.encode("STOP", true) == Ids{vocab.eos_id});
  CHECK(tokenizer.encode("<end_of_turn>").size() == 13);
  CHECK(tokenizer.is_closed(end));
  CHECK(tokenizer.encode("\n") == Ids{vocab.eot_id});  // white space is never closed
}

// Random stretches ────────────────────────────────────────────────────────────────────────────────────────────────

constexpr int n_prompts = test::has_sanitizer ? 2'000 : 20'000;

TEST_CASE("random stretches: as the definition has it, and nothing closed comes out of a user's text") {
  struct Case {
    Vocab vocab;
    std::vector<std::string> literals, closed;
  };
  std::vector<Case> cases;
  for (const char* pre : {"gpt-2", "llama-bpe", "qwen2"})
    cases.push_back({test::chatty_byte_level_vocab(pre), {"a <tool> b"}, {"<tool>"}});
  for (const char* model : {"llama", "t5"}) cases.push_back({test::chatty_spm_vocab(model), {"<b>\n"}, {"<b>"}});
  cases.push_back({test::chatty_byte_level_vocab("smollm"), {}, {}});
  std::mt19937_64 random(7);
  for (const Case& c : cases) {
    const Tokenizer tokenizer(c.vocab, c.literals);
    const auto specials = test::plain_specials(c.vocab, c.closed);
    std::vector<std::string> pieces{"hello", " ", "  ", "\n", "\xe2\x82\xac", "<", "|im", "_", "end|", ">", "'s", "12"};
    for (const auto& special : specials) {
      pieces.push_back(special.text);
      for (size_t n = 1; n < special.text.size(); n += 2) {
        pieces.push_back(special.text.substr(0, n));
        pieces.push_back(special.text.substr(n));
      }
    }
    for (int i = 0; i < n_prompts; ++i) {
      std::vector<std::string> texts(1 + random() % 5);
      Parts parts;
      for (std::string& text : texts)
        for (size_t n = random() % 4; n > 0; --n) text += pieces[random() % pieces.size()];
      for (const std::string& text : texts) parts.push_back({text, random() % 2 == 0});
      const Encoding encoding = tokenizer.encode_parts(parts);
      if (encoding.ids != test::plain_encode(tokenizer, specials, parts)) {
        CAPTURE(texts);
        FAIL("other ids than by the definition");
      }
      size_t begin = 0;
      std::string writers;
      for (const TextPart& part : parts) writers.append(part.text.size(), part.from_template ? 't' : 'u');
      for (size_t k = 0; k < encoding.ids.size(); begin = encoding.ends[k++])
        if (tokenizer.is_closed(encoding.ids[k]) && writers.find('u', begin) < encoding.ends[k]) {
          CAPTURE(texts, encoding.ids[k]);
          FAIL("a user's text became a closed token");
        }
    }
  }
}

}  // namespace
}  // namespace headroom::tokenizer_parts_test
