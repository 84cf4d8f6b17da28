// A message's text ─► blocks that can be drawn on their own, so that of a long text only what is in view is. A text
// that grows at its end keeps its blocks but the last. Plain text in, ranges out; knows no ImGui.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace headroom {

/// Bytes [begin, end) of the text; drawn between prefix and suffix, which are not empty where a code fence was cut.
struct TextBlock {
  size_t begin = 0, end = 0;
  std::string prefix, suffix;
  size_t open_fence = std::string::npos;  // byte where a fence begins that the text's end leaves open; last block only

  bool operator==(const TextBlock&) const = default;
};

enum class TextKind { markdown, plain };

/// Blocks end where the next has nothing to do with them (Markdown: a blank line outside fences and before what is not
/// indented; plain text: a line's end) from about this many bytes on, and at any cost at four times as many.
inline constexpr size_t block_bytes = 3000;
inline constexpr size_t max_block_bytes = 4 * block_bytes;

/// blocks: of an earlier version of the text that `content` goes on from; empty at first.
void cut_blocks(std::string_view content, TextKind kind, std::vector<TextBlock>& blocks);

/// What is drawn of a block.
std::string drawn_text(std::string_view content, const TextBlock& block);

}  // namespace headroom
