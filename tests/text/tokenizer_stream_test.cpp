// TextDecoder: characters as soon as they are complete, U+FFFD for bytes that cannot become one.
#include <catch2/catch.hpp>
#include <random>

#include "engine/base/utf8.h"
#include "engine/text/tokenizer.h"
#include "tests/support/tiny_vocabs.h"

namespace headroom::tokenizer_stream_test {
namespace {

// Decodes with a byte-level vocabulary, where id = byte. Returns the output of each push, then of the end.
std::vector<std::string> stream(std::string_view bytes) {
  static const Tokenizer tokenizer(test::byte_level_vocab());
  TextDecoder decoder(tokenizer);
  std::vector<std::string> out;
  for (const char byte : bytes) out.push_back(decoder.push(static_cast<unsigned char>(byte)));
  out.push_back(decoder.finish());
  return out;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) all += part;
  return all;
}

using Parts = std::vector<std::string>;

TEST_CASE("a character comes with its last byte") {
  CHECK(stream("aé") == Parts{"a", "", "é", ""});
  CHECK(stream("€") == Parts{"", "", "€", ""});
  CHECK(stream("🙂!") == Parts{"", "", "", "🙂", "!", ""});
}

TEST_CASE("what can be no character is U+FFFD, as soon as that is certain") {
  CHECK(stream("\xff"
               "a") == Parts{"\ufffd", "a", ""});
  CHECK(stream("\x80") == Parts{"\ufffd", ""});
  CHECK(stream("\xc3(") == Parts{"", "\ufffd(", ""});
  CHECK(stream("\xe2\x82(") == Parts{"", "", "\ufffd(", ""});  // one for the whole beginning
  CHECK(stream("\xe2\x28\xa1") == Parts{"", "\ufffd(", "\ufffd", ""});
  CHECK(stream("\xc0\xaf") == Parts{"\ufffd", "\ufffd", ""});                // overlong
  CHECK(stream("\xed\xa0\x80") == Parts{"", "\ufffd\ufffd", "\ufffd", ""});  // a surrogate
  CHECK(stream("\xf4\x90") == Parts{"", "\ufffd\ufffd", ""});                // over U+10FFFF
  CHECK(stream("\xf0\x9f\xe2\x82\xac") == Parts{"", "", "\ufffd", "", "€", ""});
}

TEST_CASE("an unfinished character at the end is one U+FFFD") {
  CHECK(stream("a\xe2\x82") == Parts{"a", "", "", "\ufffd"});
  CHECK(stream("\xf0\x9f\x99") == Parts{"", "", "", "\ufffd"});
  CHECK(stream("") == Parts{""});
}

TEST_CASE("random bytes: every piece is valid UTF-8, valid stretches come through, nothing is held back") {
  std::mt19937 random(3);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes;
    for (size_t n = random() % 12; n > 0; --n) {
      bytes += static_cast<char>(random() % 2 == 0 ? "\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82\xed\xf4"[random() % 11]
                                                   : static_cast<int>(random() % 256));
    }
    const Parts parts = stream(bytes);
    for (const std::string& part : parts) {
      for (size_t at = 0; at < part.size(); at += utf8_char_at(part, at).n_bytes) {
        REQUIRE(utf8_char_at(part, at).n_bytes > 0);
      }
    }
    // The oracle replaces invalid bytes in the whole text at once.
    std::string expected;
    for (size_t at = 0; at < bytes.size();) {
      const size_t n = utf8_char_at(bytes, at).n_bytes;
      expected += n > 0 ? bytes.substr(at, n) : "\ufffd";
      at += n > 0 ? n : std::max<size_t>(1, utf8_subpart_bytes(bytes, at));
    }
    REQUIRE(joined(parts) == expected);
  }
}

TEST_CASE("control tokens give no text and do not join what stands around them wrongly") {
  Vocab vocab = test::byte_level_vocab();
  const TokenId end = test::add_token(&vocab, "<|im_end|>", TokenType::control);
  const Tokenizer tokenizer(vocab);
  TextDecoder decoder(tokenizer);
  CHECK(decoder.push('a') == "a");
  CHECK(decoder.push(end).empty());
  CHECK(decoder.push('b') == "b");
}

TEST_CASE("SentencePiece: a space stays in the middle of a sequence and falls away at its start") {
  Vocab vocab = test::spm_vocab();
  const TokenId a = test::add_token(&vocab, "\u2581a", TokenType::normal, -1);
  const Tokenizer tokenizer(vocab);
  TextDecoder middle(tokenizer);
  CHECK(middle.push(a) == " a");
  CHECK(middle.push(a) == " a");
  TextDecoder start(tokenizer, true);
  CHECK(start.push(a) == "a");
  CHECK(start.push(a) == " a");
}

TEST_CASE("what is streamed is what decode gives, for any valid text") {
  for (const std::string model : {"gpt2", "llama", "t5"}) {
    const Tokenizer tokenizer(model == "gpt2" ? test::chatty_byte_level_vocab("gpt-2") : test::chatty_spm_vocab(model));
    for (const std::string text :
         {"hello hello", " héllo\n\n\n€🙂 <b> x", "<tool>  hello<b>hello", "\ufffd \u2581"}) {
      TextDecoder decoder(tokenizer, true);
      std::string streamed;
      for (const TokenId id : tokenizer.encode(text)) streamed += decoder.push(id);
      CHECK(streamed + decoder.finish() == text);
    }
  }
}

}  // namespace
}  // namespace headroom::tokenizer_stream_test
