// Items of the layout ─► names, text and buttons in a child window. Unknown heights are measured out of sight before
// anything is placed by them, so that nothing jumps.
#include "ui/transcript_messages.h"

#include <imgui.h>
#include <imgui_internal.h>
#include <imgui_rich_md/rich_md.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "ui/theme.h"
#include "ui/widgets.h"

namespace headroom {
namespace {

struct Drawing {
  const Mirror& mirror;
  const ChatView& chat;
  UiState& state;
  Actions& actions;
  TranscriptState& own;
  float left, width;          // of the column
  bool is_measuring = false;  // out of sight
  bool is_aside = false;      // drawn for measuring only, so its ImGui ids must differ from those drawn in place
  // Message and version. The choice replaces the messages, so it is executed after all drawing of this frame.
  std::optional<std::pair<int64_t, int32_t>> chosen_version = {};
};

float inset() {
  return ImGui::GetFontSize() * 0.6f;
}

bool is_written(const TranscriptMessage& message) {
  return text_kind(message) == TextKind::plain;
}

const MirrorMessage* mirrored(const Drawing& d, const TranscriptMessage& message) {
  const auto& messages = d.mirror.messages();
  const auto i = static_cast<size_t>(message.mirror_index);
  return message.mirror_index >= 0 && i < messages.size() ? &messages[i] : nullptr;
}

std::vector<ByteTint> tints_of(const Drawing& d, const TranscriptMessage& message, const TextBlock& block) {
  const MirrorMessage* read = mirrored(d, message);
  const int32_t head = d.state.active_head();
  if (read == nullptr || d.is_measuring || (head < 0 && d.own.lit_token < 0)) return {};
  return token_tints(d.mirror, *read, block.begin, block.end, head,
                     ImGui::GetColorU32(ImGuiCol_ButtonActive, d.state.dark ? 0.55f : 0.9f), d.own.lit_token,
                     ImGui::GetColorU32(ImGuiCol_TextDisabled, 0.45f));
}

/// Sets UiState::hovered_token for the head map, and shows the token's card.
void point_at(Drawing& d, const TranscriptMessage& message, size_t byte) {
  const MirrorMessage* read = mirrored(d, message);
  if (read == nullptr || !is_pointing() || ImGui::IsMouseDown(ImGuiMouseButton_Left)) return;
  const int32_t position = d.mirror.token_at(*read, byte);
  if (position < 0) return;
  d.state.hovered_token = position;
  show_token_card(d.mirror, position);
}

void draw_written(Drawing& d, const TranscriptMessage& message, int64_t text, size_t begin, size_t end,
                  std::span<const ByteTint> tints, float width, bool wraps) {
  std::string_view piece = std::string_view(message.content).substr(begin, end - begin);
  if (!piece.empty() && piece.back() == '\n') piece.remove_suffix(1);
  if (d.is_measuring) {
    ImGui::Dummy({width, plain_text_height(piece, width, wraps)});
    return;
  }
  const PlainText plain{text, begin, piece, tints, width, wraps};
  if (const auto byte = draw_plain_text(plain, d.own.selection)) point_at(d, message, *byte);
  if (ImGui::BeginPopupContextItem("###text_menu")) {
    TextSelection& selection = d.own.selection;
    const bool has_selection = selection.text == text && !selection.is_empty();
    if (ImGui::MenuItem("Copy###copy_selection", key_text(Action::copy), false, has_selection))
      d.actions.set_clipboard(message.content.substr(selection.begin(), selection.end() - selection.begin()));
    if (ImGui::MenuItem("Select all###select_all")) selection = {text, 0, message.content.size(), false};
    if (ImGui::MenuItem("Copy the whole message###copy_whole")) d.actions.set_clipboard(message.content);
    ImGui::EndPopup();
  }
}

/// Draws Markdown from byte `begin` of the message. `text` has prefix_bytes in front that are not in the message.
void draw_markdown(Drawing& d, const TranscriptMessage& message, const std::string& text, size_t begin,
                   size_t prefix_bytes, const std::vector<ByteTint>& tints) {
  std::vector<RichMd::TextTint> shifted;
  for (const ByteTint& tint : tints)
    if (tint.begin >= begin && tint.end - begin + prefix_bytes <= text.size())
      shifted.push_back({tint.begin - begin + prefix_bytes, tint.end - begin + prefix_bytes, tint.color});
  RichMd::SetNextTextTints(std::move(shifted));
  RichMd::SetNextFragment(0);
  const float top = ImGui::GetCursorScreenPos().y;
  RichMd::RenderRaw(text);
  const float bottom = ImGui::GetCursorScreenPos().y;
  if (d.is_measuring || !ImGui::IsWindowHovered()) return;
  const ImVec2 mouse = ImGui::GetMousePos();
  if (mouse.y < top || mouse.y >= bottom) return;
  const auto byte = RichMd::LastRenderByteAt(mouse);
  if (byte && *byte >= prefix_bytes) point_at(d, message, *byte - prefix_bytes + begin);
}

/// Draws code that is still being generated as plain text. Markdown would create a code editor for each version of it.
void draw_open_code(Drawing& d, const TranscriptMessage& message, int64_t text, const TextBlock& block,
                    std::span<const ByteTint> tints) {
  const std::string_view content = message.content;
  size_t begin = block.open_fence, end = block.end;
  if (block.prefix.empty()) begin = std::min(content.find('\n', begin), end - 1) + 1;
  // Hide the first characters of the closing fence.
  const size_t last_line = content.rfind('\n', end - 1) + 1;
  const std::string_view tail = content.substr(last_line, end - last_line);
  if (last_line >= begin && !tail.empty() && tail.find_first_not_of("`~") == std::string_view::npos) end = last_line;
  const auto font = RichMd::GetCodeFont();
  ImGui::PushFont(font.font, font.size);
  const float pad = inset();
  const ImVec2 min = ImGui::GetCursorScreenPos();
  std::string_view code = content.substr(begin, end - begin);
  if (!code.empty() && code.back() == '\n') code.remove_suffix(1);
  const float width = d.width - 2 * pad;
  const ImVec2 max = {d.left + d.width, min.y + plain_text_height(code, width, false) + 2 * pad};
  ImGui::GetWindowDrawList()->AddRectFilled(min, max, ImGui::GetColorU32(ImGuiCol_FrameBg), pad / 2);
  ImGui::SetCursorScreenPos({min.x + pad, min.y + pad});
  draw_written(d, message, text, begin, end, tints, width, false);
  ImGui::SetCursorScreenPos({min.x, max.y});
  ImGui::Dummy({d.width, 0});
  ImGui::PopFont();
}

void draw_block(Drawing& d, const TranscriptItem& item) {
  const TranscriptMessage& message = d.chat.messages[static_cast<size_t>(item.message)];
  const TextBlock& block = d.own.layout.blocks(item.message)[static_cast<size_t>(item.block)];
  const std::vector<ByteTint> tints = tints_of(d, message, block);
  if (is_written(message)) {
    ImGui::Indent(inset());
    draw_written(d, message, item.message, block.begin, block.end, tints, d.width - 2 * inset(), true);
    ImGui::Unindent(inset());
    return;
  }
  if (message.is_streaming && block.open_fence != std::string::npos) {
    TextBlock before = block;
    before.end = block.open_fence;
    if (before.end > before.begin) {
      before.suffix.clear();
      draw_markdown(d, message, drawn_text(message.content, before), before.begin, before.prefix.size(), tints);
      ImGui::Spacing();
    }
    draw_open_code(d, message, item.message, block, tints);
  } else {
    draw_markdown(d, message, drawn_text(message.content, block), block.begin, block.prefix.size(), tints);
  }
  ImGui::Spacing();
}

void draw_header(Drawing& d, const TranscriptItem& item) {
  const TranscriptMessage& message = d.chat.messages[static_cast<size_t>(item.message)];
  const bool written = is_written(message);
  ImGui::Dummy({0, ImGui::GetFontSize() * 0.35f});
  if (written) ImGui::Indent(inset());
  const RichMd::SizedFont bold = RichMd::GetFont(RichMd::MarkdownFontSpec(false, true));
  ImGui::PushFont(bold.font, bold.size);
  const std::string name = message.role == "user"        ? "You"
                           : message.role == "assistant" ? "Answer"
                           : message.role == "system"    ? "System prompt"
                                                         : message.role;
  const float name_width = std::min(width_of(name), d.width / 2);
  elided_text(name, d.width / 2);
  ImGui::PopFont();
  if (message.is_dropped) {
    ImGui::SameLine();
    const float room = d.width - name_width - width_of("Copy") - 6 * inset();
    ImGui::PushStyleColor(ImGuiCol_Text, ImGui::GetStyleColorVec4(ImGuiCol_TextDisabled));
    elided_text("dropped: the model no longer reads it", room);
    ImGui::PopStyleColor();
  }
  const float button = width_of("Copy") + 2 * ImGui::GetStyle().FramePadding.x;
  ImGui::SameLine();
  ImGui::SetCursorScreenPos({d.left + d.width - button - inset(), ImGui::GetCursorScreenPos().y});
  ImGui::PushStyleColor(ImGuiCol_Button, ImVec4(0, 0, 0, 0));
  const bool copies = ImGui::SmallButton("Copy###copy");
  ImGui::PopStyleColor();
  if (copies) d.actions.set_clipboard(message.content);
  explain(message.role == "assistant" && item.message + 1 == std::ssize(d.chat.messages)
              ? std::string("Copy this answer as Markdown (") + key_text(Action::copy_answer) + ")"
              : "Copy this message");
  if (written) ImGui::Unindent(inset());
}

void message_note(const std::string& text, float right, ImU32 color) {
  ImGui::PushStyleColor(ImGuiCol_Text, color);
  ImGui::PushTextWrapPos(right);
  ImGui::TextUnformatted(text.c_str());
  ImGui::PopTextWrapPos();
  ImGui::PopStyleColor();
}

/// "< 2/3 >"
void draw_versions(Drawing& d, const TranscriptMessage& message) {
  const bool can_choose = !d.chat.is_read_only && !d.chat.replay && !d.chat.is_busy;
  const auto button = [&](const char* label, int32_t version, Action action, const char* what) {
    ImGui::BeginDisabled(!can_choose || version < 0 || version >= message.n_versions);
    if (ImGui::SmallButton(label)) d.chosen_version = {message.id, version};
    ImGui::EndDisabled();
    explain(d.chat.is_read_only ? "The chats are open in another window; here you can only read them."
            : d.chat.is_busy    ? std::string("The engine is busy; Stop ends that (") + key_text(Action::stop) + ")"
                                : std::string(what) + " (" + key_text(action) + ", of the last one that has several)");
  };
  button("<###older_version", message.version - 1, Action::older_version,
         "The version before this one: the conversation continues from it");
  ImGui::SameLine();
  message_note(std::to_string(message.version + 1) + "/" + std::to_string(message.n_versions), 0,
               ImGui::GetColorU32(ImGuiCol_TextDisabled));
  explain("Versions of this message, the oldest first; none is lost.");
  ImGui::SameLine();
  button(">###newer_version", message.version + 1, Action::newer_version,
         "The version after this one: the conversation continues from it");
}

void draw_footer(Drawing& d, const TranscriptItem& item) {
  const TranscriptMessage& message = d.chat.messages[static_cast<size_t>(item.message)];
  const float right = d.left + d.width - ImGui::GetWindowPos().x;
  if (is_written(message)) ImGui::Indent(inset());
  if (message.is_streaming && message.content.empty())
    message_note("…", right, ImGui::GetColorU32(ImGuiCol_TextDisabled));
  if (!message.note.empty()) message_note(message.note, right, warning_color(d.state.dark));
  if (!message.numbers.empty()) message_note(message.numbers, right, ImGui::GetColorU32(ImGuiCol_TextDisabled));
  const bool is_last = item.message + 1 == std::ssize(d.chat.messages);
  const float line = ImGui::GetCursorPosY();
  if (is_last && is_enabled(Action::take_back, d.mirror, d.chat, d.state)) {
    if (ImGui::SmallButton("Try again###try_again")) d.actions.regenerate();
    explain(std::string("Ask for an answer to this message (") + key_text(Action::regenerate) + ")");
    ImGui::SameLine();
    if (ImGui::SmallButton("Edit###take_back")) d.actions.take_back_message();
    explain(std::string(shortcut_of(Action::take_back).what) + " (" + key_text(Action::take_back) + ")");
  } else if (is_last && is_enabled(Action::regenerate, d.mirror, d.chat, d.state)) {
    if (ImGui::SmallButton("Regenerate###regenerate")) d.actions.regenerate();
    explain(std::string(shortcut_of(Action::regenerate).what) + " (" + key_text(Action::regenerate) + ")");
  }
  if (message.n_versions > 1) {
    if (ImGui::GetCursorPosY() != line) ImGui::SameLine();
    draw_versions(d, message);
  }
  if (is_written(message)) ImGui::Unindent(inset());
  ImGui::Dummy({0, ImGui::GetFontSize() * 0.35f});
}

/// Draws an item at the cursor and returns its height.
float draw_item(Drawing& d, size_t index) {
  const TranscriptItem item = d.own.layout.items()[index];
  const float top = ImGui::GetCursorScreenPos().y;
  ImGui::PushID(d.is_aside ? "aside" : "in place");
  ImGui::PushID(item.message);
  ImGui::PushID(item.part == TranscriptItem::Part::header   ? -1
                : item.part == TranscriptItem::Part::footer ? -2
                                                            : item.block);
  switch (item.part) {
    case TranscriptItem::Part::header:
      draw_header(d, item);
      break;
    case TranscriptItem::Part::block:
      draw_block(d, item);
      break;
    case TranscriptItem::Part::footer:
      draw_footer(d, item);
      break;
  }
  ImGui::PopID();
  ImGui::PopID();
  ImGui::PopID();
  return ImGui::GetCursorScreenPos().y - top;
}

/// Draws an item at y, out of sight, and returns its height. Restores the cursor and content size of the window.
float draw_unseen(Drawing& d, size_t index, float y) {
  ImGuiWindow* window = ImGui::GetCurrentWindow();
  const ImVec2 cursor = window->DC.CursorPos, max = window->DC.CursorMaxPos, ideal = window->DC.IdealMaxPos;
  d.is_measuring = true;
  window->DC.CursorPos = {d.left, y};
  const float height = draw_item(d, index);
  d.is_measuring = false;
  window->DC.CursorPos = cursor;
  window->DC.CursorMaxPos = max;
  window->DC.IdealMaxPos = ideal;
  return height;
}

/// Measures an item whose height is needed for placing in this frame. A table may be lower when it is drawn in place.
void measure(Drawing& d, size_t index) {
  d.is_aside = true;
  d.own.layout.set_height(index, draw_unseen(d, index, ImGui::GetCurrentWindow()->InnerRect.Max.y + 10000));
  d.is_aside = false;
}

/// Draws the items above the view in place, until their heights are certain. Text in view then keeps its place when the
/// user scrolls up.
void prepare_above(Drawing& d, ImVec2 origin, float scroll, float view) {
  TranscriptLayout& layout = d.own.layout;
  const size_t first = layout.item_at(scroll);
  int n_left = 4;  // in one frame
  for (size_t i = first; i-- > 0 && n_left > 0 && layout.top(i + 1) > scroll - view;) {
    if (layout.items()[i].n_drawn >= 2) continue;
    layout.set_drawn(i, draw_unseen(d, i, std::floor(origin.y + layout.top(i) - scroll)));
    --n_left;
  }
}

/// After a change of width or font size, the view still begins at the same part of the same item.
void set_measures(TranscriptState& own, float width) {
  const auto height = [&] {
    return own.anchor < own.layout.items().size() ? own.layout.items()[own.anchor].height : 0.0f;
  };
  const float before = height();
  own.layout.set_measures(width, ImGui::GetTextLineHeight());
  if (before > 0 && own.anchor_offset > 0) own.anchor_offset *= height() / before;
}

/// Returns the scroll position after keys, wheel and new text. view: height of the view.
float place_view(Drawing& d, float view) {
  TranscriptState& own = d.own;
  TranscriptLayout& layout = own.layout;
  const size_t n = layout.items().size();
  float scroll = ImGui::GetScrollY();
  const bool was_moved = std::abs(scroll - own.scroll) > 0.5f;  // by wheel or bar
  if (was_moved) own.follows_end = scroll >= ImGui::GetScrollMaxY() - 1;
  if (!was_moved && own.anchor < n) scroll = layout.top(own.anchor) + own.anchor_offset;
  if (own.wanted_pages != 0) {
    if (own.wanted_pages < 0) own.follows_end = false;
    if (own.follows_end) own.wanted_pages = 0;
    scroll += own.wanted_pages * 0.9f * view;
    if (own.wanted_pages > 0 && scroll >= layout.total_height() - view) own.follows_end = true;
    own.wanted_pages = 0;
  }
  if (own.wants_start) {
    own.wants_start = own.follows_end = false;
    scroll = 0;
  }
  if (own.follows_end) {
    float shown = 0;
    for (size_t i = n; i-- > 0 && shown < view;) {
      // Measure footers always: their buttons depend on the state, which the layout does not see.
      const TranscriptItem& item = layout.items()[i];
      if (!item.is_measured || item.part == TranscriptItem::Part::footer) measure(d, i);
      shown += layout.items()[i].height;
    }
    return std::max(0.0f, layout.total_height() - view);
  }
  scroll = std::clamp(scroll, 0.0f, std::max(0.0f, layout.total_height() - view));
  // An item that is cut by the upper edge keeps its lower edge in place.
  for (size_t first = layout.item_at(scroll); n > 0 && !layout.items()[first].is_measured;) {
    const float before = layout.items()[first].height;
    const bool is_cut = layout.top(first) < scroll;
    measure(d, first);
    if (is_cut) scroll = std::max(0.0f, scroll + layout.items()[first].height - before);
    first = layout.item_at(scroll);
  }
  return scroll;
}

void draw_view(Drawing& d, ImVec2 origin, float scroll, float view) {
  TranscriptLayout& layout = d.own.layout;
  const size_t n = layout.items().size();
  for (size_t i = layout.item_at(scroll); i < n && layout.top(i) < scroll + view; ++i) {
    const TranscriptItem& item = layout.items()[i];
    const TranscriptMessage& message = d.chat.messages[static_cast<size_t>(item.message)];
    if (is_written(message)) {
      if (!item.is_measured) measure(d, i);
      const float top = origin.y + layout.top(i) - scroll;
      ImGui::GetWindowDrawList()->AddRectFilled({d.left, top}, {d.left + d.width, top + layout.items()[i].height},
                                                ImGui::GetColorU32(ImGuiCol_FrameBg, 0.6f));
    }
    ImGui::SetCursorScreenPos({d.left, std::floor(origin.y + layout.top(i) - scroll)});
    layout.set_drawn(i, draw_item(d, i));
  }
}

void copy_by_key(Drawing& d) {
  TextSelection& selection = d.own.selection;
  if (!ImGui::IsMouseDown(ImGuiMouseButton_Left)) selection.is_dragging = false;
  if (selection.text >= std::ssize(d.chat.messages)) selection = {};
  // A click anywhere else in the text clears the selection.
  if (ImGui::IsWindowHovered() && ImGui::IsMouseClicked(ImGuiMouseButton_Left) && !selection.is_dragging &&
      ImGui::GetMouseClickedCount(ImGuiMouseButton_Left) == 1)
    selection = {};
  if (selection.is_empty() || !ImGui::IsWindowFocused() || ImGui::GetIO().WantTextInput) return;
  const std::string& content = d.chat.messages[static_cast<size_t>(selection.text)].content;
  const size_t begin = std::min(selection.begin(), content.size());
  if (ImGui::IsKeyChordPressed(ImGuiMod_Ctrl | ImGuiKey_C))
    d.actions.set_clipboard(content.substr(begin, selection.end() - begin));
}

}  // namespace

std::vector<ByteTint> token_tints(const Mirror& mirror, const MirrorMessage& message, size_t begin, size_t end,
                                  int32_t head, ImU32 head_color, int32_t lit_token, ImU32 lit_color) {
  std::vector<ByteTint> tints;
  if (message.token_begin < 0 || begin >= end || begin >= message.content.size()) return tints;
  int32_t position = message.token_begin;
  if (begin > message.content_begin) position = mirror.token_at(message, begin);
  for (; position >= 0 && position < message.token_end; ++position) {
    const auto [first, last] = mirror.content_bytes_of(message, position);
    if (first >= end) break;
    const ImU32 color = position == lit_token ? lit_color : head >= 0 && mirror.holds(head, position) ? head_color : 0;
    const size_t from = std::max(first, begin), to = std::min(last, end);
    if (color == 0 || from >= to) continue;
    if (!tints.empty() && tints.back().end == from && tints.back().color == color) {
      tints.back().end = to;
    } else {
      tints.push_back({from, to, color});
    }
  }
  return tints;
}

void draw_messages(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, TranscriptState& own,
                   float height) {
  std::optional<std::pair<int64_t, int32_t>> chosen_version;
  if (own.chat != chat.open_chat) {
    own.chat = chat.open_chat;
    own.follows_end = true;
    own.selection = {};
  }
  own.layout.follow(chat);
  ImGui::PushStyleColor(ImGuiCol_NavCursor, ImVec4(0, 0, 0, 0));
  // The scrollbar is always there, so that the width does not depend on the content.
  if (ImGui::BeginChild("###messages", {0, height}, ImGuiChildFlags_None, ImGuiWindowFlags_AlwaysVerticalScrollbar)) {
    ImGuiWindow* window = ImGui::GetCurrentWindow();
    const float em = ImGui::GetFontSize();
    const float room = ImGui::GetContentRegionAvail().x;
    const float width = std::min(room - em, em * 62);  // longer lines are hard to read
    const float left = ImGui::GetCursorScreenPos().x + std::max(0.0f, (room - width) / 2);
    const ImVec2 origin = window->InnerRect.Min;
    const float view = window->InnerRect.GetHeight();
    Drawing d{mirror, chat, state, actions, own, left, width};
    set_measures(own, width);

    // Make ImGui's content region the column, so that every widget in it uses that width.
    const ImRect content = window->ContentRegionRect, work = window->WorkRect;
    window->ContentRegionRect.Max.x = window->WorkRect.Max.x = left + width;
    const float indent = window->DC.Indent.x;
    window->DC.Indent.x = left - window->Pos.x;
    float scroll = place_view(d, view);
    draw_view(d, origin, scroll, view);
    own.anchor = own.layout.item_at(scroll);
    // Anchor the first item that begins in view. It then stays in place if the height of the item above it changes.
    if (const size_t next = own.anchor + 1; next < own.layout.items().size() && own.layout.top(next) < scroll + view)
      own.anchor = next;
    own.anchor_offset = scroll - own.layout.top(own.anchor);
    if (!own.follows_end) prepare_above(d, origin, scroll, view);
    window->DC.Indent.x = indent;
    window->ContentRegionRect = content;
    window->WorkRect = work;
    copy_by_key(d);
    chosen_version = d.chosen_version;

    // Set the window's scroll and content size, for its scrollbar and the wheel.
    if (!own.follows_end) scroll = std::max(0.0f, own.layout.top(own.anchor) + own.anchor_offset);
    window->Scroll.y = own.scroll = std::floor(scroll);
    window->DC.CursorPos = {left, window->DC.CursorStartPos.y + own.layout.total_height()};
    window->DC.CursorMaxPos = {left + width, window->DC.CursorPos.y};
    window->DC.IdealMaxPos = window->DC.CursorMaxPos;
  }
  ImGui::EndChild();
  ImGui::PopStyleColor();
  if (chosen_version) actions.choose_version(chosen_version->first, chosen_version->second);
}

}  // namespace headroom
