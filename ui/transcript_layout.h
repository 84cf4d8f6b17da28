// Messages ─► a column of items (the speaker's name, blocks of text, the line below), each with a height. A height is
// estimated until the item is drawn, then measured. Says which items a view shows, so that the text in view can stay in
// place when a height becomes known. Plain numbers; knows no ImGui.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ui/markdown_blocks.h"
#include "ui/view.h"

namespace headroom {

struct TranscriptItem {
  enum class Part { header, block, footer };
  Part part = Part::header;
  int32_t message = 0;  // index into ChatView::messages
  int32_t block = -1;   // index into the message's blocks
  float height = 0;
  bool is_measured = false;
  int32_t n_drawn = 0;  // times drawn in place; a table knows its column widths only the second time
};

class TranscriptLayout {
 public:
  /// Updates the items after a change; unchanged blocks keep their heights.
  void follow(const ChatView& chat);
  /// If a measure changed, every height becomes an estimate again. line_height: of a line of text.
  void set_measures(float width, float line_height);

  std::span<const TranscriptItem> items() const { return items_; }
  const std::vector<TextBlock>& blocks(int32_t message) const { return texts_[static_cast<size_t>(message)].blocks; }
  void set_height(size_t item, float height);
  void set_drawn(size_t item, float height);
  /// Distance from the column's top to the item's top. For items().size() it is the total height.
  float top(size_t item) const;
  float total_height() const { return top(items_.size()); }
  /// The item at this distance from the top; below all items, the last one.
  size_t item_at(float y) const;

 private:
  struct Text {
    int64_t id = 0;
    std::string role;
    size_t n_bytes = 0, hash = 0, about_hash = 0;  // about_hash: of note and numbers
    bool is_streaming = false;
    std::vector<TextBlock> blocks;
  };
  static Text read(const TranscriptMessage& message, const Text* before);
  float estimate(const TranscriptItem& item) const;
  void rebuild();

  std::vector<Text> texts_;
  std::vector<TranscriptItem> items_;
  std::vector<int32_t> first_item_;  // of each message
  mutable std::vector<float> tops_;  // of items; only the first n_valid_tops_ are valid
  mutable size_t n_valid_tops_ = 0;
  uint64_t version_ = 0;
  int64_t chat_ = -1;
  float width_ = 0, line_height_ = 0;
};

/// An answer is Markdown; user and system messages are plain text.
TextKind text_kind(const TranscriptMessage& message);

}  // namespace headroom
