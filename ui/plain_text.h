// Draws text without Markdown, wrapped: what a person wrote, and code that is still being generated. Supports a
// selection across the pieces of one text, tints behind bytes, and the byte under the mouse. Knows ImGui only.
#pragma once

#include <imgui.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace headroom {

/// A colour behind some bytes of a text.
struct ByteTint {
  size_t begin = 0, end = 0;
  ImU32 color = 0;
};

/// The selected bytes and their text. All texts of a panel share one selection.
struct TextSelection {
  int64_t text = -1;  // -1: nothing
  size_t anchor = 0, focus = 0;
  bool is_dragging = false;

  size_t begin() const { return anchor < focus ? anchor : focus; }
  size_t end() const { return anchor < focus ? focus : anchor; }
  bool is_empty() const { return text < 0 || anchor == focus; }
};

/// A piece of a text, drawn at the cursor.
struct PlainText {
  int64_t text = 0;                 // id of the text that the piece belongs to
  size_t begin = 0;                 // byte offset of the piece in the whole text
  std::string_view piece;           // without a line feed at its end
  std::span<const ByteTint> tints;  // bytes of the whole text, ascending
  float width = 0;
  bool wraps = true;  // else lines are cut at the right edge
};

/// Draws the piece in the current font. Returns the byte under the mouse, counted in the whole text.
std::optional<size_t> draw_plain_text(const PlainText& text, TextSelection& selection);

/// Height of the piece in the current font.
float plain_text_height(std::string_view piece, float width, bool wraps);

}  // namespace headroom
