// Draft ─► Actions::send. ImGui's text field does the editing; its callback inserts earlier messages.
#include "ui/composer.h"

#include <imgui.h>
#include <imgui_internal.h>
#include <imgui_stdlib.h>

#include <algorithm>

#include "ui/number_text.h"
#include "ui/shortcuts.h"
#include "ui/theme.h"
#include "ui/widgets.h"

namespace headroom {
namespace {

constexpr int max_lines = 8;

/// Lines of the draft after wrapping, at most max_lines.
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

float send_button_width() {
  return std::max(width_of("Send"), width_of("Stop")) + 4 * ImGui::GetStyle().FramePadding.x;
}

float field_width() {
  return std::max(ImGui::GetFontSize() * 4,
                  ImGui::GetContentRegionAvail().x - send_button_width() - ImGui::GetStyle().ItemSpacing.x);
}

float field_height(const std::string& draft) {
  const ImGuiStyle& style = ImGui::GetStyle();
  const float room = field_width() - 2 * style.FramePadding.x - style.ScrollbarSize;
  return static_cast<float>(lines_of(draft, room)) * ImGui::GetTextLineHeight() + 4 * style.FramePadding.y;
}

/// The text and buttons below the field.
struct Notice {
  std::string text;
  bool is_warning = false;
  bool offers_model = false, offers_room = false;  // Open a model…; Drop the oldest turns and New chat
};

bool has_text(const std::string& draft) {
  return draft.find_first_not_of(" \t\r\n") != std::string::npos;
}

/// The token count for the current draft; null while it is unknown.
const PromptCount* count_of(const ChatView& chat, const UiState& state) {
  return chat.prompt_count && chat.prompt_count->draft == state.draft && has_text(state.draft) ? &*chat.prompt_count
                                                                                               : nullptr;
}

/// Why the engine would refuse the current message; empty if it would not, or if this is unknown.
std::string refusal_of(const Mirror& mirror, const ChatView& chat, const UiState& state) {
  const PromptCount* count = count_of(chat, state);
  if (count == nullptr || mirror.model() == nullptr) return "";
  if (count->n_tokens < 0) return "This message cannot be sent: " + count->why_not;
  const int32_t n_ctx = mirror.model()->n_ctx, n_before = static_cast<int32_t>(mirror.tokens().size());
  if (count->n_tokens < n_ctx) return "";
  // Before the chat has been prefilled (n_before == 0), the draft's own part of the count is unknown.
  if (n_before == 0 ? chat.n_droppable_turns == 0 : count->n_tokens - n_before >= n_ctx)
    return "This message is too long: with it the conversation has " + count_text(count->n_tokens, "token", "tokens") +
           ", and the context holds " + count_text(n_ctx) + ". Shorten it.";
  return "With this message the conversation has " + count_text(count->n_tokens, "token", "tokens") +
         ", and the context holds " + count_text(n_ctx) + ".";
}

/// Whether the message would fit without the oldest turns, as far as this is known.
bool helps_to_drop(const Mirror& mirror, const ChatView& chat, const UiState& state) {
  const PromptCount* count = count_of(chat, state);
  const int32_t n_before = static_cast<int32_t>(mirror.tokens().size());
  return count != nullptr && count->n_tokens >= 0 && chat.n_droppable_turns > 0 &&
         (n_before == 0 || count->n_tokens - n_before < mirror.model()->n_ctx);
}

Notice notice_of(const Mirror& mirror, const ChatView& chat, const UiState& state) {
  constexpr double nearly_full = 0.8;
  const bool has_model = mirror.model() != nullptr;
  if (!chat.is_busy && !chat.can_send)
    return {.text = chat.cannot_send_why,
            .offers_model = !has_model && !mirror.is_loading() && chat.engine_is_running && !chat.messages.empty()};
  if (!has_model || chat.is_busy) return {};
  if (const std::string refusal = refusal_of(mirror, chat, state); !refusal.empty())
    return {.text = refusal, .is_warning = true, .offers_room = helps_to_drop(mirror, chat, state)};
  const int32_t n_ctx = mirror.model()->n_ctx;
  const int32_t n_left = n_ctx - static_cast<int32_t>(mirror.tokens().size());
  const bool has_turns = chat.n_droppable_turns > 0;
  if (chat.is_overfull && has_turns)
    return {.text = "This conversation is longer than the context of " + count_text(n_ctx, "token", "tokens") +
                    ". Drop the oldest turns to continue the chat.",
            .is_warning = true,
            .offers_room = true};
  if (n_left <= 1 && has_turns)
    return {.text = "The context of " + count_text(n_ctx, "token", "tokens") +
                    " is full: there is no room for another "
                    "message. Drop the oldest turns to continue the chat.",
            .is_warning = true,
            .offers_room = true};
  const PromptCount* count = count_of(chat, state);
  if (n_ctx - n_left > nearly_full * n_ctx && has_turns)
    return {.text = "The context is nearly full: " + count_text(std::max(n_left, 0), "token is", "tokens are") +
                    " left for your message and its answer" +
                    (count ? "; with this message " + count_text(count->n_tokens) + " of " + count_text(n_ctx) +
                                 " are used."
                           : "."),
            .offers_room = true};
  if (count != nullptr)
    return {.text = "With this message " + count_text(count->n_tokens) + " of " + count_text(n_ctx, "token", "tokens") +
                    " are taken."};
  return {};
}

std::string drop_label(const ChatView& chat) {
  return (chat.n_droppable_turns == 1 ? std::string("Drop the oldest turn")
                                      : "Drop the oldest " + count_text(chat.n_droppable_turns) + " turns") +
         "###drop_oldest";
}

float notice_height(const Notice& notice) {
  const ImGuiStyle& style = ImGui::GetStyle();
  const float wrap = ImGui::GetContentRegionAvail().x;
  // Reserve at least one line always, because a field that moves during typing is hard to use.
  float height = std::max(ImGui::GetTextLineHeight(), ImGui::CalcTextSize(notice.text.c_str(), nullptr, false, wrap).y);
  if (notice.offers_model || notice.offers_room) height += ImGui::GetFrameHeight() + style.ItemSpacing.y;
  return height + style.ItemSpacing.y;
}

void draw_notice(const Notice& notice, const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions) {
  ImGui::PushStyleColor(ImGuiCol_Text, notice.is_warning ? ImGui::ColorConvertU32ToFloat4(warning_color(state.dark))
                                                         : ImGui::GetStyleColorVec4(ImGuiCol_TextDisabled));
  ImGui::PushTextWrapPos(0);
  ImGui::TextUnformatted(notice.text.c_str());
  ImGui::PopTextWrapPos();
  ImGui::PopStyleColor();
  const float pad = 2 * ImGui::GetStyle().FramePadding.x;
  if (notice.offers_model) {
    if (ImGui::Button("Open a model…###open_model_below")) perform(Action::choose_model, mirror, chat, state, actions);
    explain(std::string("Choose a GGUF file (") + key_text(Action::choose_model) + "); or drop one on this window");
  }
  if (!notice.offers_room) return;
  if (ImGui::Button(drop_label(chat).c_str())) perform(Action::drop_oldest, mirror, chat, state, actions);
  explain(std::string("They leave the model's input, which frees about half of the context (") +
          key_text(Action::drop_oldest) + "). They stay in the chat, marked.");
  same_line_if_fits(width_of("New chat") + pad);
  if (ImGui::Button("New chat###new_chat_below")) perform(Action::new_chat, mirror, chat, state, actions);
  explain(std::string("Begin an empty conversation (") + key_text(Action::new_chat) + "); this one stays in the list");
}

/// Puts the program's text into the draft: a refused message in front, the text of files behind.
void take_for_draft(const ChatView& chat, UiState& state, Actions& actions, ComposerState& own) {
  if (chat.returned_text.empty() && chat.attached_text.empty()) return;
  const auto join = [](const std::string& first, const std::string& second) {
    return first.empty() || second.empty() ? first + second : first + (first.back() == '\n' ? "\n" : "\n\n") + second;
  };
  state.draft = join(join(chat.returned_text, state.draft), chat.attached_text);
  own.history_at.reset();
  own.wants_focus = true;
  actions.take_for_draft();
}

/// Updates the field after the draft changed elsewhere: another chat, a refused message, stray typing. The active field
/// has its own copy of the text, so it must reload.
void follow_draft(const UiState& state, ComposerState& own) {
  if (state.draft == own.drawn_draft) return;
  own.wants_end = true;
  if (ImGuiInputTextState* field = ImGui::GetInputTextState(ImGui::GetID("###draft")))
    field->ReloadUserBufAndMoveToEnd();
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

/// If Up cannot move the cursor, shows the previous message of the history. If Down cannot, shows the next one, and the
/// draft after the last. ImGui calls this after the field has moved its cursor.
int walk_history(ImGuiInputTextCallbackData* data) {
  const auto [chat, own] = *static_cast<Walk*>(data->UserData);
  const std::vector<std::string>& history = chat->input_history;
  if (own->wants_end) {
    data->CursorPos = data->BufTextLen;
    data->ClearSelection();
    own->wants_end = false;
  }
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

float composer_height(const Mirror& mirror, const ChatView& chat, const UiState& state) {
  return field_height(state.draft) + notice_height(notice_of(mirror, chat, state)) + ImGui::GetStyle().ItemSpacing.y;
}

void draw_composer(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, ComposerState& own) {
  take_for_draft(chat, state, actions, own);
  follow_draft(state, own);
  if (has_text(state.draft) && (!chat.prompt_count || chat.prompt_count->draft != state.draft))
    actions.count_draft(state.draft);
  const Notice notice = notice_of(mirror, chat, state);
  const std::string refusal = refusal_of(mirror, chat, state);
  const bool can_send = chat.can_send && !chat.is_busy && has_text(state.draft) && refusal.empty();
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
  own.drawn_draft = state.draft;
  if (state.draft.empty() && !own.history_at) {
    const ImGuiStyle& style = ImGui::GetStyle();
    const ImVec2 min = ImGui::GetItemRectMin(), max = ImGui::GetItemRectMax();
    const float pad = style.FramePadding.x;
    // Use the field's own draw list: its background may be drawn after everything in this window's list.
    ImDrawList& list = *ImGui::GetCurrentWindow()->DC.ChildWindows.back()->DrawList;
    list.PushClipRect(min, max);
    draw_elided(list, {min.x + pad, min.y + style.FramePadding.y}, {max.x - pad, max.y},
                ImGui::GetColorU32(ImGuiCol_TextDisabled), "Write a message; Enter sends, Shift+Enter is a new line");
    list.PopClipRect();
  }

  ImGui::SameLine();
  ImGui::BeginDisabled(!chat.is_busy && !can_send);
  const bool pressed = ImGui::Button(button_label(chat), {send_button_width(), height});
  ImGui::EndDisabled();
  if (chat.is_busy) {
    explain(std::string("Stop the answer (") + key_text(Action::stop) + "); the text so far stays");
  } else {
    explain(can_send           ? std::string("Send the message (") + key_text(Action::send) + ")"
            : !chat.can_send   ? chat.cannot_send_why
            : !refusal.empty() ? refusal
                               : "There is nothing to send yet");
  }
  draw_notice(notice, mirror, chat, state, actions);

  if (pressed && chat.is_busy) perform(Action::stop, mirror, chat, state, actions);
  if (entered || (pressed && !chat.is_busy)) own.wants_focus = true;
  if (can_send && (entered || (pressed && !chat.is_busy))) {
    if (!actions.send(state.draft)) return;
    state.draft.clear();
    own.history_at.reset();
    own.kept_draft.clear();
  }
}

}  // namespace headroom
