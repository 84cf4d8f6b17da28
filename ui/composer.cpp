// Draft ─► Actions::send. ImGui's text field does the editing; what was sent before comes in through its callback.
#include "ui/composer.h"

#include <imgui.h>
#include <imgui_internal.h>
#include <imgui_stdlib.h>

#include <algorithm>

#include "ui/shortcuts.h"
#include "ui/widgets.h"

namespace headroom {
namespace {

constexpr int max_lines = 8;

/// Of the draft, as it would be drawn; counts no further than is shown.
int lines_of(const std::string& draft, float width) {
  int lines = 1;
  const char* at = draft.data();
  const char* end = at + draft.size();
  while (at < end && lines < max_lines) {
    const char* line_end = std::find(at, end, '\n');
    const char* next = ImGui::GetFont()->CalcWordWrapPosition(ImGui::GetFontSize(), at, line_end, width);
    if (next == at && at < line_end) ++next;
    if (next == line_end && next == end) break;
    at = next == line_end ? next + 1 : next;
    ++lines;
  }
  return lines;
}

const char* button_label(const ChatView& chat) {
  return chat.is_busy ? "Stop###stop" : "Send###send";
}

float button_width() {
  return std::max(width_of("Send"), width_of("Stop")) + 4 * ImGui::GetStyle().FramePadding.x;
}

float field_width() {
  return std::max(ImGui::GetFontSize() * 4,
                  ImGui::GetContentRegionAvail().x - button_width() - ImGui::GetStyle().ItemSpacing.x);
}

float field_height(const std::string& draft) {
  const ImGuiStyle& style = ImGui::GetStyle();
  const float room = field_width() - 2 * style.FramePadding.x - style.ScrollbarSize;
  return static_cast<float>(lines_of(draft, room)) * ImGui::GetTextLineHeight() + 4 * style.FramePadding.y;
}

/// The sentence below the field; empty where the next message can be sent.
std::string reason_of(const ChatView& chat) {
  return chat.is_busy || chat.can_send ? "" : chat.cannot_send_why;
}

float reason_height(const std::string& reason) {
  if (reason.empty()) return 0;
  const float wrap = ImGui::GetContentRegionAvail().x;
  return ImGui::CalcTextSize(reason.c_str(), nullptr, false, wrap).y + ImGui::GetStyle().ItemSpacing.y;
}

bool has_text(const std::string& draft) {
  return draft.find_first_not_of(" \t\r\n") != std::string::npos;
}

struct Walk {
  const ChatView* chat;
  ComposerState* own;
};

void show(ImGuiInputTextCallbackData& data, const std::string& text, ComposerState& own) {
  data.DeleteChars(0, data.BufTextLen);
  data.InsertChars(0, text.data(), text.data() + text.size());
  data.CursorPos = own.cursor = data.BufTextLen;
  data.ClearSelection();
}

/// Up where the cursor cannot go up: the message sent before. Down where it cannot go down: the next one, at last the
/// draft. Called after the field has moved its cursor.
int walk_history(ImGuiInputTextCallbackData* data) {
  const auto [chat, own] = *static_cast<Walk*>(data->UserData);
  const std::vector<std::string>& history = chat->input_history;
  const bool stayed = data->CursorPos == own->cursor && !data->HasSelection();
  own->cursor = data->CursorPos;
  if (!stayed || history.empty() || ImGui::GetIO().KeyMods != ImGuiMod_None) return 0;
  if (own->history_at && *own->history_at >= history.size()) own->history_at.reset();
  if (ImGui::IsKeyPressed(ImGuiKey_UpArrow)) {
    if (!own->history_at) own->kept_draft.assign(data->Buf, static_cast<size_t>(data->BufTextLen));
    const size_t at = own->history_at.value_or(history.size());
    if (at == 0) return 0;
    own->history_at = at - 1;
    show(*data, history[at - 1], *own);
  } else if (ImGui::IsKeyPressed(ImGuiKey_DownArrow) && own->history_at) {
    const size_t next = *own->history_at + 1;
    if (next < history.size()) {
      own->history_at = next;
      show(*data, history[next], *own);
    } else {
      own->history_at.reset();
      show(*data, own->kept_draft, *own);
    }
  }
  return 0;
}

}  // namespace

float composer_height(const ChatView& chat, const UiState& state) {
  return field_height(state.draft) + reason_height(reason_of(chat)) + ImGui::GetStyle().ItemSpacing.y;
}

void draw_composer(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, ComposerState& own) {
  const bool can_send = chat.can_send && !chat.is_busy && has_text(state.draft);
  const float height = field_height(state.draft);
  const std::string before = state.draft;

  if (own.wants_focus && !ImGui::IsPopupOpen("", ImGuiPopupFlags_AnyPopup)) ImGui::SetKeyboardFocusHere();
  constexpr auto flags = ImGuiInputTextFlags_CtrlEnterForNewLine | ImGuiInputTextFlags_EnterReturnsTrue |
                         ImGuiInputTextFlags_WordWrap | ImGuiInputTextFlags_CallbackAlways;
  Walk walk{&chat, &own};
  const bool entered =
      ImGui::InputTextMultiline("###draft", &state.draft, {field_width(), height}, flags, walk_history, &walk);
  if (ImGui::IsItemActive()) own.wants_focus = false;
  if (ImGui::IsItemDeactivated() && ImGui::IsKeyPressed(ImGuiKey_Escape)) {
    state.draft = before;  // Esc stops an answer; ImGui would also undo the typing
    own.wants_focus = true;
  }
  if (state.draft.empty() && !own.history_at) {
    const ImGuiStyle& style = ImGui::GetStyle();
    const ImVec2 min = ImGui::GetItemRectMin(), max = ImGui::GetItemRectMax();
    const float pad = style.FramePadding.x;
    // Into the field's own list: its ground may be drawn after everything in the list of this window.
    ImDrawList& list = *ImGui::GetCurrentWindow()->DC.ChildWindows.back()->DrawList;
    list.PushClipRect(min, max);
    draw_elided(list, {min.x + pad, min.y + style.FramePadding.y}, {max.x - pad, max.y},
                ImGui::GetColorU32(ImGuiCol_TextDisabled), "Write a message; Enter sends, Shift+Enter is a new line");
    list.PopClipRect();
  }

  ImGui::SameLine();
  ImGui::BeginDisabled(!chat.is_busy && !can_send);
  const bool pressed = ImGui::Button(button_label(chat), {button_width(), height});
  ImGui::EndDisabled();
  if (chat.is_busy) {
    explain(std::string("Stop the answer (") + key_text(Action::stop) + "); what is written so far stays");
  } else {
    explain(can_send         ? std::string("Send the message (") + key_text(Action::send) + ")"
            : !chat.can_send ? chat.cannot_send_why
                             : "There is nothing to send yet");
  }
  if (const std::string reason = reason_of(chat); !reason.empty()) {
    ImGui::PushStyleColor(ImGuiCol_Text, ImGui::GetStyleColorVec4(ImGuiCol_TextDisabled));
    ImGui::PushTextWrapPos(0);
    ImGui::TextUnformatted(reason.c_str());
    ImGui::PopTextWrapPos();
    ImGui::PopStyleColor();
  }

  if (pressed && chat.is_busy) perform(Action::stop, mirror, chat, state, actions);
  if (entered || (pressed && !chat.is_busy)) own.wants_focus = true;
  if (can_send && (entered || (pressed && !chat.is_busy))) {
    actions.send(state.draft);
    state.draft.clear();
    own.history_at.reset();
    own.kept_draft.clear();
  }
}

}  // namespace headroom
