// Any bytes as text, for small vocabularies of each kind: decoding returns every byte, text never becomes a control
// token, and streamed output is valid UTF-8. The first byte chooses the vocabulary and whether control tokens are
// allowed.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "engine/base/utf8.h"
#include "engine/text/tokenizer.h"
#include "tests/support/tiny_vocabs.h"

namespace {

using namespace headroom;

void expect(bool holds) {
  if (!holds) std::abort();
}

std::vector<Tokenizer> make_tokenizers() {
  std::vector<Tokenizer> tokenizers;
  for (const char* pre : {"gpt-2", "smollm", "llama-bpe", "qwen2"}) {
    tokenizers.emplace_back(test::chatty_byte_level_vocab(pre));
  }
  for (const char* model : {"llama", "t5"}) {
    tokenizers.emplace_back(test::chatty_spm_vocab(model));
    Vocab vocab = test::chatty_spm_vocab(model);
    vocab.add_space_prefix = false;
    tokenizers.emplace_back(std::move(vocab));
  }
  return tokenizers;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<Tokenizer> tokenizers = make_tokenizers();
  if (size == 0) return 0;
  const Tokenizer& tokenizer = tokenizers[data[0] % tokenizers.size()];
  const bool allow_control = (data[0] & 64) != 0;
  const bool first_piece = (data[0] & 128) != 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);

  const std::vector<TokenId> ids = tokenizer.encode(text, allow_control, first_piece);
  expect(tokenizer.decode(ids, true, first_piece) == text);
  TextDecoder decoder(tokenizer, first_piece);
  std::string streamed;
  for (const TokenId id : ids) {
    expect(id >= 0 && id < tokenizer.size());
    const TokenType type = tokenizer.vocab().types[static_cast<size_t>(id)];
    expect(allow_control || (!tokenizer.is_control(id) && type != TokenType::unknown));
    streamed += decoder.push(id);
  }
  streamed += decoder.finish();
  for (size_t at = 0; at < streamed.size();) {
    const size_t n_bytes = utf8_char_at(streamed, at).n_bytes;
    expect(n_bytes > 0);
    at += n_bytes;
  }
  return 0;
}
