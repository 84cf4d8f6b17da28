// Any bytes ─► a text with parts by a template and by users, for small vocabularies of each kind. Its ids equal those
// of the plain definition, and no user's text becomes a closed token. The first byte chooses the vocabulary; \1 changes
// the writer, and \2 with the next byte stands for a special token's text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/text/tokenizer.h"
#include "tests/support/plain_prompt.h"
#include "tests/support/tiny_vocabs.h"

namespace {

using namespace headroom;

struct Subject {
  Tokenizer tokenizer;
  std::vector<test::PlainSpecial> specials;
};

void expect(bool holds) {
  if (!holds) std::abort();
}

std::vector<Subject> make_subjects() {
  std::vector<Subject> subjects;
  const auto add = [&](const Vocab& vocab, const std::string& closed) {
    subjects.push_back({Tokenizer(vocab, {"a " + closed + " b"}), test::plain_specials(vocab, {closed})});
    subjects.push_back({Tokenizer(vocab), test::plain_specials(vocab, {})});
  };
  for (const char* pre : {"gpt-2", "smollm", "llama-bpe", "qwen2"}) add(test::chatty_byte_level_vocab(pre), "<tool>");
  for (const char* model : {"llama", "t5"}) {
    Vocab vocab = test::chatty_spm_vocab(model);
    add(vocab, "<b>");
    vocab.add_space_prefix = false;
    add(vocab, "<b>");
  }
  return subjects;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<Subject> subjects = make_subjects();
  if (size == 0) return 0;
  const auto& [tokenizer, specials] = subjects[(data[0] & 63) % subjects.size()];
  const bool first_piece = (data[0] & 128) != 0;
  bool from_template = (data[0] & 64) != 0;
  std::vector<std::string> texts(1);
  for (size_t i = 1; i < size; ++i) {
    if (data[i] == 1)
      texts.emplace_back();
    else if (data[i] == 2 && i + 1 < size)
      texts.back() += specials[data[++i] % specials.size()].text;
    else
      texts.back() += static_cast<char>(data[i]);
  }
  std::vector<TextPart> parts;
  std::string writers;  // by byte
  for (const std::string& text : texts) {
    parts.push_back({text, from_template});
    writers.append(text.size(), from_template ? 't' : 'u');
    from_template = !from_template;
  }

  const Encoding encoding = tokenizer.encode_parts(parts, first_piece);
  expect(encoding.ids == test::plain_encode(tokenizer, specials, parts, first_piece));
  expect(encoding.ends.size() == encoding.ids.size());
  size_t begin = 0;
  for (size_t i = 0; i < encoding.ids.size(); begin = encoding.ends[i++]) {
    expect(encoding.ends[i] >= begin && encoding.ends[i] <= writers.size());
    expect(!tokenizer.is_closed(encoding.ids[i]) || writers.find('u', begin) >= encoding.ends[i]);
  }
  return 0;
}
