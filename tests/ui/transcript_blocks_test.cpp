// Blocks of a message: nothing is lost or drawn twice, fences stay whole or are opened again, growth keeps older
// blocks.
#include <catch2/catch.hpp>

#include "ui/markdown_blocks.h"

using namespace headroom;

namespace {

std::vector<TextBlock> blocks_of(std::string_view text, TextKind kind = TextKind::markdown) {
  std::vector<TextBlock> blocks;
  cut_blocks(text, kind, blocks);
  return blocks;
}

void check_covers(std::string_view text, const std::vector<TextBlock>& blocks) {
  size_t at = 0;
  for (const TextBlock& block : blocks) {
    CHECK(block.begin == at);
    CHECK(block.end > block.begin);
    CHECK(block.end - block.begin <= max_block_bytes);
    at = block.end;
  }
  CHECK(at == text.size());
}

std::string repeated(const std::string& text, size_t bytes) {
  std::string all;
  while (all.size() < bytes) all += text;
  return all;
}

}  // namespace

TEST_CASE("a short text is one block, an empty one none", "[transcript]") {
  CHECK(blocks_of("").empty());
  CHECK(blocks_of("# Title\n\nText.") == std::vector<TextBlock>{{0, 14, "", ""}});
}

TEST_CASE("a long text is cut where the next paragraph stands alone", "[transcript]") {
  const std::string text = repeated("A paragraph of some words.\n\n- an item\n\n  that goes on\n\n", 40000);
  const auto blocks = blocks_of(text);
  check_covers(text, blocks);
  REQUIRE(blocks.size() > 8);
  for (size_t i = 1; i < blocks.size(); ++i) {
    CHECK(text[blocks[i].begin] != ' ');
    CHECK(text.substr(blocks[i].begin - 2, 2) == "\n\n");
  }
}

TEST_CASE("a fence is not cut at its blank lines", "[transcript]") {
  const std::string code = repeated("x = 1\n\n", block_bytes + 500);
  const std::string text = "```python\n" + code + "```\n\nafter";
  const auto blocks = blocks_of(text);
  REQUIRE(blocks.size() == 2);
  CHECK(text.substr(blocks[1].begin) == "after");
}

TEST_CASE("a very long fence is closed and opened again, with its language", "[transcript]") {
  const std::string text = "~~~cpp\n" + repeated("int x = 1;\n", 3 * max_block_bytes) + "~~~\nafter";
  const auto blocks = blocks_of(text);
  check_covers(text, blocks);
  REQUIRE(blocks.size() >= 3);
  CHECK(blocks[0].suffix == "~~~");
  CHECK(blocks[1].prefix == "~~~cpp\n");
  CHECK(drawn_text(text, blocks[1]).substr(0, 12) == "~~~cpp\nint x");
  CHECK(blocks.back().suffix.empty());
}

TEST_CASE("one line without end is cut between words, or between characters", "[transcript]") {
  for (const std::string word : {"word ", "\xE2\x82\xAC"}) {
    const std::string text = repeated(word, 3 * max_block_bytes);
    const auto blocks = blocks_of(text);
    check_covers(text, blocks);
    for (const TextBlock& block : blocks) CHECK(block.begin % word.size() == 0);
  }
}

TEST_CASE("plain text is cut at lines, whatever they hold", "[transcript]") {
  const std::string text = repeated("```\n  a line\n", 20000);
  const auto blocks = blocks_of(text, TextKind::plain);
  check_covers(text, blocks);
  for (const TextBlock& block : blocks) {
    CHECK(block.prefix.empty());
    CHECK(text[block.end - 1] == '\n');
  }
}

TEST_CASE("a text that grows byte by byte has the blocks of the whole text", "[transcript]") {
  const std::string text =
      repeated("Words.\n\n```c\nint i;\n\nint j;\n```\n\n1. one\n\n   more\n\n", 2 * max_block_bytes) + "```";
  std::vector<TextBlock> growing;
  for (size_t n = 1; n <= text.size(); n += n % 7 + 1) {
    cut_blocks(std::string_view(text).substr(0, n), TextKind::markdown, growing);
    const auto fresh = blocks_of(std::string_view(text).substr(0, n));
    REQUIRE(growing == fresh);
  }
}

TEST_CASE("a fence that is still open is known", "[transcript]") {
  CHECK(blocks_of("Code:\n```py\nx").back().open_fence == 6);
  CHECK(blocks_of("Code:\n```py\nx\n```\n").back().open_fence == std::string::npos);
  CHECK(blocks_of("Code:\n````py\nx\n```\n").back().open_fence == 6);  // shorter than what opened it
  CHECK(blocks_of("Inline ```x``` code").back().open_fence == std::string::npos);
}
