// Reads Markdown line by line, and decides whether a line is in a code fence and whether a block may end before it.
#include "ui/markdown_blocks.h"

#include <algorithm>

namespace headroom {
namespace {

/// A run of three or more ` or ~ that begins a line (CommonMark 0.31, 4.5). Any indentation is allowed, since fences
/// occur in lists.
struct Fence {
  char mark = 0;
  size_t length = 0;
  std::string_view line;
};

Fence fence_of(std::string_view line) {
  const size_t start = line.find_first_not_of(" \t>");
  if (start == std::string_view::npos || (line[start] != '`' && line[start] != '~')) return {};
  const size_t end = std::min(line.find_first_not_of(line[start], start), line.size());
  if (end - start < 3) return {};
  if (line[start] == '`' && line.find('`', end) != std::string_view::npos) return {};  // inline code
  return {line[start], end - start, line};
}

bool closes(const Fence& open, std::string_view line) {
  const Fence fence = fence_of(line);
  return fence.mark == open.mark && fence.length >= open.length &&
         line.find_first_not_of(" \t", line.find_last_of(fence.mark) + 1) == std::string_view::npos;
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

/// The cut of a block that has no natural end: behind a line, else behind a word, else between two characters.
size_t forced_end(std::string_view content, size_t begin) {
  const size_t limit = std::min(begin + max_block_bytes, content.size());
  const std::string_view room = content.substr(begin, max_block_bytes);
  for (const char mark : {'\n', ' '}) {
    const size_t found = room.rfind(mark);
    if (found != std::string_view::npos && found > block_bytes) return begin + found + 1;
  }
  size_t end = limit;
  while (end < content.size() && end > begin + 1 && (static_cast<unsigned char>(content[end]) & 0xC0) == 0x80) --end;
  return end;
}

/// Sets the block's end, starting from its begin, and returns the fence that is open there.
Fence fill(std::string_view content, TextKind kind, Fence fence, TextBlock& block) {
  size_t fence_begin = fence.mark != 0 ? block.begin : std::string::npos;
  bool after_blank = false;
  for (size_t at = block.begin; at < content.size();) {
    const size_t line_end = std::min(content.find('\n', at), content.size());
    const std::string_view line = content.substr(at, line_end - at);
    const size_t size = at - block.begin;
    if (size >= block_bytes) {
      // A blank line may still grow into a fence or indented text, so a block cannot end before it.
      const bool stands_alone = after_blank && !line.empty() && !is_blank(line) && line[0] != ' ' && line[0] != '\t';
      if (kind == TextKind::plain || (fence.mark == 0 && stands_alone)) {
        block.end = at;
        return fence;
      }
    }
    if (size + line.size() >= max_block_bytes) {
      // Cut before this line, or inside it if the block would be too short.
      block.end = size > block_bytes ? at : forced_end(content, block.begin);
      return fence;
    }
    if (kind == TextKind::markdown) {
      if (fence.mark == 0) {
        fence = fence_of(line);
        fence_begin = fence.mark != 0 ? at : std::string::npos;
      } else if (closes(fence, line)) {
        fence = {};
        fence_begin = std::string::npos;
      }
      after_blank = is_blank(line) && fence.mark == 0;
    }
    at = line_end + 1;
  }
  block.end = content.size();
  block.open_fence = fence_begin;
  return fence;
}

}  // namespace

void cut_blocks(std::string_view content, TextKind kind, std::vector<TextBlock>& blocks) {
  TextBlock next;
  if (!blocks.empty()) {
    next.begin = blocks.back().begin;
    next.prefix = blocks.back().prefix;
    blocks.pop_back();
  }
  while (next.begin < content.size()) {
    // A block that begins inside a fence has the fence's first line as its prefix.
    const std::string opener = next.prefix.empty() ? "" : next.prefix.substr(0, next.prefix.size() - 1);
    const Fence fence = fill(content, kind, fence_of(opener), next);
    TextBlock after;
    after.begin = next.end;
    if (fence.mark != 0 && next.end < content.size()) {
      after.prefix = std::string(fence.line) + "\n";
      next.suffix = (content[next.end - 1] == '\n' ? "" : "\n") + std::string(fence.length, fence.mark);
    }
    blocks.push_back(std::move(next));
    next = std::move(after);
  }
}

std::string drawn_text(std::string_view content, const TextBlock& block) {
  std::string text = block.prefix;
  text += content.substr(block.begin, block.end - block.begin);
  return text + block.suffix;
}

}  // namespace headroom
