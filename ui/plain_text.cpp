// Bytes ─► wrapped lines ─► draw list. Each frame computes the lines again, since pieces are short.
#include "ui/plain_text.h"

#include <imgui_internal.h>

#include <algorithm>
#include <cctype>

namespace headroom {
namespace {

struct Line {
  const char* begin = nullptr;
  const char* end = nullptr;
};

/// Calls take(line) for each drawn line, which ends at a line feed or at the width.
template <typename Take>
void for_each_line(std::string_view piece, float width, bool wraps, Take take) {
  const char* at = piece.data();
  const char* end = at + piece.size();
  ImFont* font = ImGui::GetFont();
  for (;;) {
    const char* line_end = std::find(at, end, '\n');
    const char* next = line_end;
    if (wraps) {
      next = font->CalcWordWrapPosition(ImGui::GetFontSize(), at, line_end, width);
      if (next == at && at < line_end)
        next += std::min<ptrdiff_t>(line_end - at, ImTextCountUtf8BytesFromChar(at, line_end));
    }
    take(Line{at, next});
    if (next == line_end) {
      if (line_end == end) return;
      at = line_end + 1;
    } else {
      at = next;
      while (at < line_end && *at == ' ') ++at;  // spaces at the wrap are not drawn
      if (at == line_end) {
        if (line_end == end) return;
        ++at;
      }
    }
  }
}

float width_between(const char* begin, const char* end) {
  return begin < end ? ImGui::CalcTextSize(begin, end).x : 0.0f;
}

/// The character of the line that covers x; with `nearest`, the gap between two characters that is nearest to x.
const char* place_at(const Line& line, float x, bool nearest) {
  const char* at = line.begin;
  float left = 0;
  while (at < line.end) {
    const char* next = std::min(line.end, at + ImTextCountUtf8BytesFromChar(at, line.end));
    const float right = left + width_between(at, next);
    if (x < (nearest ? (left + right) / 2 : right)) break;
    left = right;
    at = next;
  }
  return at;
}

/// One line's rectangle on the screen and its bytes in the whole text.
struct Placed {
  Line line;
  ImVec2 min, max;
  size_t begin = 0, end = 0;
};

void draw_behind(const Placed& placed, size_t begin, size_t end, ImU32 color) {
  const size_t from = std::max(begin, placed.begin), to = std::min(end, placed.end);
  if (from >= to) return;
  const char* text = placed.line.begin;
  const float left = placed.min.x + width_between(text, text + (from - placed.begin));
  const float right = left + width_between(text + (from - placed.begin), text + (to - placed.begin));
  ImGui::GetWindowDrawList()->AddRectFilled({left, placed.min.y}, {right, placed.max.y}, color);
}

void draw_line(const Placed& placed, const PlainText& text, const TextSelection& selection) {
  auto tint = std::partition_point(text.tints.begin(), text.tints.end(),
                                   [&](const ByteTint& t) { return t.end <= placed.begin; });
  for (; tint != text.tints.end() && tint->begin < placed.end; ++tint)
    draw_behind(placed, tint->begin, tint->end, tint->color);
  if (selection.text == text.text)
    draw_behind(placed, selection.begin(), selection.end(), ImGui::GetColorU32(ImGuiCol_TextSelectedBg));
  ImGui::GetWindowDrawList()->AddText(placed.min, ImGui::GetColorU32(ImGuiCol_Text), placed.line.begin,
                                      placed.line.end);
}

/// A click begins a selection, a drag extends it, two clicks select a word, three the piece.
void select(const PlainText& text, const Placed& under, float mouse_x, bool is_hovered, TextSelection& selection) {
  const auto place = [&] {
    return text.begin + static_cast<size_t>(place_at(under.line, mouse_x - under.min.x, true) - text.piece.data());
  };
  if (is_hovered && ImGui::IsMouseClicked(ImGuiMouseButton_Left)) {
    const size_t at = place();
    selection = {text.text, at, at, true};
    const int clicks = ImGui::GetMouseClickedCount(ImGuiMouseButton_Left);
    const auto is_word = [&](size_t byte) {
      const auto c = static_cast<unsigned char>(text.piece[byte - text.begin]);
      return c >= 0x80 || std::isalnum(c) != 0 || c == '_';
    };
    const size_t end = text.begin + text.piece.size();
    if (clicks >= 3) {
      selection = {text.text, text.begin, end, false};
    } else if (clicks == 2) {
      while (selection.anchor > text.begin && is_word(selection.anchor - 1)) --selection.anchor;
      while (selection.focus < end && is_word(selection.focus)) ++selection.focus;
      selection.is_dragging = false;
    }
  } else if (selection.is_dragging && selection.text == text.text && ImGui::IsMouseDown(ImGuiMouseButton_Left)) {
    selection.focus = place();
  }
}

}  // namespace

float plain_text_height(std::string_view piece, float width, bool wraps) {
  int lines = 0;
  for_each_line(piece, width, wraps, [&](const Line&) { ++lines; });
  return static_cast<float>(lines) * ImGui::GetTextLineHeight();
}

std::optional<size_t> draw_plain_text(const PlainText& text, TextSelection& selection) {
  const float width = std::max(ImGui::GetFontSize(), text.width);
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float height = plain_text_height(text.piece, width, text.wraps);
  ImGui::PushItemFlag(ImGuiItemFlags_NoNav, true);
  ImGui::InvisibleButton("###plain_text", {width, height});
  ImGui::PopItemFlag();
  const bool is_hovered = ImGui::IsItemHovered();
  if (is_hovered) ImGui::SetMouseCursor(ImGuiMouseCursor_TextInput);

  const ImVec2 mouse = ImGui::GetMousePos();
  const float line_height = ImGui::GetTextLineHeight();
  std::optional<size_t> byte;
  float y = at.y;
  ImGui::GetWindowDrawList()->PushClipRect(at, {at.x + width, at.y + height}, true);
  for_each_line(text.piece, width, text.wraps, [&](const Line& line) {
    Placed placed = {line, {at.x, y}, {at.x + width, y + line_height}, 0, 0};
    y += line_height;
    placed.begin = text.begin + static_cast<size_t>(line.begin - text.piece.data());
    placed.end = text.begin + static_cast<size_t>(line.end - text.piece.data());
    if (mouse.y >= placed.min.y && mouse.y < placed.max.y) {
      select(text, placed, mouse.x, is_hovered, selection);
      const char* under = place_at(line, mouse.x - placed.min.x, false);
      if (is_hovered && under < line.end) byte = text.begin + static_cast<size_t>(under - text.piece.data());
    }
    if (ImGui::IsRectVisible(placed.min, placed.max)) draw_line(placed, text, selection);
  });
  ImGui::GetWindowDrawList()->PopClipRect();
  return byte;
}

}  // namespace headroom
