// One million random strings: decoding returns every byte, and no user's text becomes a control token. Runs on the
// vocabulary files that are present, and always on small ones made by hand.
#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "engine/text/tokenizer.h"
#include "tests/support/effort.h"
#include "tests/support/tiny_vocabs.h"
#include "tests/text/vocab_files.h"

namespace headroom::tokenizer_property_test {
namespace {

constexpr int n_strings = test::has_address_sanitizer ? 1'000'000 / 20 : 1'000'000;

// Strings of one to four parts; each part is of a kind that has broken tokenisers before.
class RandomText {
 public:
  RandomText(const Vocab& vocab, uint64_t seed) : random_(seed) {
    for (size_t i = 0; i < vocab.tokens.size(); ++i) {
      if (vocab.types[i] != TokenType::normal && !vocab.tokens[i].empty()) special_.push_back(vocab.tokens[i]);
    }
    for (const char* text : {"<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>",
                             "<bos>", "<end_of_turn>", "[INST]", "<0x41>", "\u2581", "\ufffd"}) {
      special_.push_back(text);
    }
  }

  std::string next() {
    std::string text;
    for (size_t n = 1 + below(4); n > 0; --n) append_part(&text);
    return text;
  }

 private:
  size_t below(size_t n) { return random_() % n; }

  void append_part(std::string* text) {
    switch (below(6)) {
      case 0:
        for (size_t n = below(12); n > 0; --n) text->push_back(static_cast<char>(below(256)));
        break;
      case 1:
        for (size_t n = below(10); n > 0; --n) append_character(text);
        break;
      case 2:
        *text += any_special();
        break;
      case 3: {
        static const std::string spaces[] = {" ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "\u2028", "\u180e", "\v"};
        const std::string& space = spaces[below(std::size(spaces))];
        for (size_t n = below(20); n > 0; --n) *text += below(8) == 0 ? " " : space;
        break;
      }
      case 4: {  // almost a control token
        std::string special = any_special();
        const size_t at = below(special.size());
        if (below(3) == 0) {
          special.erase(at, 1);
        } else if (below(2) == 0) {
          special.insert(at, 1, " <|>_"[below(5)]);
        } else {
          special[at] = static_cast<char>(special[at] ^ (1 << below(8)));
        }
        *text += special;
        break;
      }
      default: {
        static const char* words[] = {"hello",    " the",   "'S",   "'ll",  "1234567",  " don't",
                                      "...",      "Привет", "你好", "नमस्ते", " e\u0301", "👩‍👩‍👧",
                                      "if (x) {", "</div>", "\\n"};
        *text += words[below(std::size(words))];
      }
    }
  }

  void append_character(std::string* text) {
    static const uint32_t starts[] = {0x20,   0xa0,   0x370,  0x400,  0x5d0,  0x620,   0x900,   0xe00,   0x1100, 0x2000,
                                      0x2580, 0x3040, 0x4e00, 0xac00, 0xff00, 0x10300, 0x1d400, 0x1f300, 0x31350};
    const uint32_t c = starts[below(std::size(starts))] + static_cast<uint32_t>(below(96));
    const auto put = [&](uint32_t byte) { text->push_back(static_cast<char>(byte)); };
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xc0 | c >> 6);
      put(0x80 | (c & 63));
    } else if (c < 0x10000) {
      put(0xe0 | c >> 12);
      put(0x80 | (c >> 6 & 63));
      put(0x80 | (c & 63));
    } else {
      put(0xf0 | c >> 18);
      put(0x80 | (c >> 12 & 63));
      put(0x80 | (c >> 6 & 63));
      put(0x80 | (c & 63));
    }
  }

  const std::string& any_special() { return special_[below(special_.size())]; }

  std::mt19937_64 random_;
  std::vector<std::string> special_;
};

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    text += "0123456789abcdef"[c & 15];
  }
  return text;
}

// The first string that fails, in hexadecimal; empty if none does.
std::string find_failure(const Tokenizer& tokenizer, int n, uint64_t seed) {
  RandomText random(tokenizer.vocab(), seed);
  for (int i = 0; i < n; ++i) {
    const std::string text = random.next();
    const bool first_piece = i % 8 != 0;
    const std::vector<TokenId> ids = tokenizer.encode(text, false, first_piece);
    if (tokenizer.decode(ids, false, first_piece) != text) return "does not come back: " + hex(text);
    for (const TokenId id : ids) {
      const TokenType type = tokenizer.vocab().types[static_cast<size_t>(id)];
      if (tokenizer.is_control(id) || type == TokenType::control || type == TokenType::unknown) {
        return "becomes control token " + std::to_string(id) + ": " + hex(text);
      }
    }
  }
  return "";
}

void check_strings(const Tokenizer& tokenizer, int n) {
  std::vector<std::string> failures(2);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < failures.size(); ++t) {
    threads.emplace_back([&, t] { failures[t] = find_failure(tokenizer, n / 2, 1 + t); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& failure : failures) CHECK(failure == "");
}

TEST_CASE("a million random strings come back byte for byte, without control tokens") {
  const char* names[] = {"gpt-2", "llama-bpe", "llama-spm", "qwen2"};
  for (const char* name : names) {
    const auto path = test::find_vocab(name);
    if (!path) {
      WARN("skipped: ggml-vocab-" << name << ".gguf is not there (tests/fetch_vocabs.sh fetches it)");
      continue;
    }
    INFO(name);
    check_strings(Tokenizer(test::load_vocab(*path)), n_strings / 4);
  }
}

TEST_CASE("random strings come back over small vocabularies made to trip up") {
  for (const char* pre : {"gpt-2", "smollm", "llama-bpe", "qwen2"}) {
    INFO(pre);
    check_strings(Tokenizer(test::chatty_byte_level_vocab(pre)), n_strings / 40);
  }
  for (const char* model : {"llama", "t5"}) {
    for (const bool add_space_prefix : {true, false}) {
      Vocab vocab = test::chatty_spm_vocab(model);
      vocab.add_space_prefix = add_space_prefix;
      INFO(model << (add_space_prefix ? " with" : " without") << " a space prefix");
      check_strings(Tokenizer(vocab), n_strings / 40);
    }
  }
}

}  // namespace
}  // namespace headroom::tokenizer_property_test
