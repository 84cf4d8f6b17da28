// A message's text ─► blocks that can be drawn separately, so that only the part of a long text in view is drawn. When
// a text grows at its end, all blocks but the last stay. Plain text in, ranges out; knows no ImGui.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace headroom {

/// Bytes [begin, end) of the text. It is drawn between prefix and suffix, which repeat a code fence that was cut.
struct TextBlock {
  size_t begin = 0, end = 0;
  std::string prefix, suffix;
  size_t open_fence = std::string::npos;  // byte where an unclosed fence begins; last block only

  bool operator==(const TextBlock&) const = default;
};

enum class TextKind { markdown, plain };

/// From block_bytes on a block ends at the next independent place: in Markdown after a blank line outside of fences, if
/// the next line is not indented; in plain text at a line's end. At max_block_bytes it ends in any case.
inline constexpr size_t block_bytes = 3000;
inline constexpr size_t max_block_bytes = 4 * block_bytes;

/// Updates `blocks`, which are those of an earlier version of the text that `content` extends; empty at first.
void cut_blocks(std::string_view content, TextKind kind, std::vector<TextBlock>& blocks);

/// The text to draw for a block: prefix, its bytes, suffix.
std::string drawn_text(std::string_view content, const TextBlock& block);

}  // namespace headroom
