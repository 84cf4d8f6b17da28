// Questions, Markdown blocks, and their tokens. See sample_text.h.
#include "tests/support/sample_text.h"

#include <array>
#include <cctype>

namespace headroom::test {
namespace {

constexpr std::array<std::string_view, 6> questions{
    "How does a transformer remember what I said?",
    "Can you show that as a table, and with a piece of code?",
    "Why does the *first* token matter so much?",
    "Что такое KV-кэш? And what is it in 日本語?",
    "What happens to a token that no head holds any more? Please explain it step by step, with an example "
    "that I could try at home, and say what it costs in memory.",
    "Thank you! 🎉 One more: is `local` ever better than `frequent`?",
};

constexpr std::array<std::string_view, 12> blocks{
    "## What a head keeps\n\n",
    "Every attention head looks at the tokens in its own way. Some look at **all** of them, most look at *a few*: the "
    "first one, the punctuation, or the last words. A cache that knows this keeps less, and loses little.\n\n",
    "- `special` tokens begin and end a turn\n- `punct` marks end a sentence\n- `frequent` tokens were looked at most\n"
    "  - their number is a share of the conversation\n  - of equal scores the earlier position wins\n- `local` are the "
    "last ones\n\n",
    "| policy | keeps | share |\n|---|---|---:|\n| special | control tokens | 2 % |\n| punct | punctuation | 11 % |\n"
    "| frequent | the best scores | 30 % |\n| full | everything | 100 % |\n\n",
    "```cpp\n// The first policy whose recovery is enough.\nPolicy choose(const HeadProfile& profile, double "
    "threshold) {\n"
    "  for (const Policy policy : policies)\n    if (profile.recovery(policy) >= threshold) return policy;\n"
    "  return full;\n}\n```\n\n",
    "1. Read the prompt.\n2. Sum the attention of each column.\n3. Choose the cheapest policy.\n4. Give the rest "
    "back.\n\n",
    "> \"Model tells you what to discard\" is the idea in one line: the model's own attention decides.\n\n",
    "### Other scripts\n\nДобрый день! Καλημέρα. 今日はとても良い天気です。大语言模型会记住重要的词。 한국어도 됩니다. "
    "🙂🚀 "
    "naïve café, 25 °C, ½ × 3 ≤ 2.\n\n",
    "```python\nimport math\n\ndef budget(n, r_local=0.3):\n    \"\"\"Tokens that `local` holds.\"\"\"\n    return "
    "max(1, "
    "math.ceil(r_local * n))\n\nfor n in (1, 10, 100):\n    print(n, budget(n))\n```\n\n",
    "The numbers add up: with 90 heads, 16 slots a page and 4,224 bytes a page, a conversation of 1,000 tokens needs "
    "about 22 MiB in full; after compression, 15 MiB are left. That is a ratio of 0.68, or a saving of 32 %.\n\n",
    "A longer thought, to see how a line wraps: the window of the last tokens moves with the conversation, so a token "
    "leaves it after a while; then it competes by its score with all the others that have left before it, and if "
    "enough "
    "heads looked at it in the meantime, it stays. If not, it is gone for good, and no later question brings it "
    "back.\n\n",
    "See the [paper](https://arxiv.org/abs/2310.01801) for details, or try it: type `headroom profile -f "
    "README.md`.\n\n",
};

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}
bool is_space(char c) {
  return c == ' ' || c == '\n';
}

size_t piece_bytes(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead >= 0x80) {
    // A character of four bytes is split into two tokens of two bytes.
    const size_t n = lead >= 0xe0 && lead < 0xf0 ? 3 : 2;
    return std::min(n, text.size());
  }
  size_t n = 1;
  if (is_word(text[0]) || (text[0] == ' ' && text.size() > 1 && is_word(text[1]))) {
    while (n < text.size() && is_word(text[n])) ++n;
  } else if (is_space(text[0])) {
    while (n < text.size() && text[n] == text[0]) ++n;
  }
  return n;
}

}  // namespace

std::vector<SampleToken> cut_into_tokens(std::string_view text) {
  std::vector<SampleToken> tokens;
  while (!text.empty()) {
    SampleToken& token = tokens.emplace_back();
    token.text = text.substr(0, piece_bytes(text));
    text.remove_prefix(token.text.size());
    uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (const char c : token.text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    token.id = static_cast<TokenId>(sample_turn_end + 1 + hash % (sample_vocab_size - sample_turn_end - 1));
    const bool is_mark = token.text.size() == 1 && std::ispunct(static_cast<unsigned char>(token.text[0])) != 0;
    if (is_mark) token.token_class = TokenClass::punctuation;
  }
  return tokens;
}

std::string sample_question(uint64_t number) {
  return std::string(questions[number % questions.size()]);
}

std::string sample_block(uint64_t number) {
  return std::string(blocks[number % blocks.size()]);
}

}  // namespace headroom::test
