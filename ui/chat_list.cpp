// One selectable line per chat; only those in view are drawn. The commands for a chat are behind its "…" button and a
// right click.
#include "ui/chat_list.h"

#include <imgui.h>
#include <imgui_stdlib.h>

#include <algorithm>
#include <chrono>

#include "ui/number_text.h"
#include "ui/shortcuts.h"
#include "ui/widgets.h"

namespace headroom {
namespace {

constexpr size_t longest_shown = 300;  // characters: no window shows more on a line
constexpr const char* no_title = "(no title)";

int64_t clock_ms(const ChatView& chat) {
  if (chat.now_ms != 0) return chat.now_ms;
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

const char* why_not_change(const ChatView& chat) {
  if (chat.is_read_only) return "The chats are open in another window; here you can only read them.";
  return nullptr;
}

void draw_title_field(const ChatEntry& entry, Actions& actions, ChatListState& own) {
  ImGui::SetNextItemWidth(-1);
  if (own.focus_title) ImGui::SetKeyboardFocusHere();
  const bool entered = ImGui::InputText("###chat_title", &own.new_title,
                                        ImGuiInputTextFlags_EnterReturnsTrue | ImGuiInputTextFlags_AutoSelectAll);
  const bool has_ended = ImGui::IsItemDeactivated();
  explain("Enter keeps the new title, Esc the old one.");
  if (own.focus_title) {
    own.focus_title = false;
    return;
  }
  if (!entered && !has_ended) return;
  const bool cancelled = ImGui::IsKeyPressed(ImGuiKey_Escape, false);
  if (!cancelled && !own.new_title.empty() && own.new_title != entry.title)
    actions.rename_chat(entry.id, own.new_title);
  own.renamed_chat = 0;
}

void draw_menu(const ChatView& chat, const ChatEntry& entry, Actions& actions, ChatListState& own) {
  if (!ImGui::BeginPopup("###chat_menu")) return;
  const char* why = why_not_change(chat);
  ImGui::BeginDisabled(why != nullptr);
  if (ImGui::MenuItem("Rename###rename", "F2")) begin_rename(chat, entry.id, own);
  explain(why != nullptr ? why : "Another title for this chat.");
  // The key for the open chat. Del deletes the row that has the keyboard.
  const char* key = entry.id == chat.open_chat ? key_text(Action::delete_chat) : nullptr;
  if (ImGui::MenuItem("Delete###delete", key)) actions.delete_chat(entry.id);
  explain(why != nullptr ? std::string(why)
                         : std::string("Removes the chat from the list (") + key_text(Action::delete_row) +
                               " if the keyboard is on it). You can undo this.");
  ImGui::EndDisabled();
  ImGui::EndPopup();
}

void draw_row(const ChatView& chat, const ChatEntry& entry, int64_t now_ms, Actions& actions, ChatListState& own) {
  const float room = ImGui::GetContentRegionAvail().x;
  const float height = ImGui::GetFrameHeight();
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const bool is_open = entry.id == chat.open_chat;
  ImGui::SetNextItemAllowOverlap();
  if (ImGui::Selectable("###row", is_open, ImGuiSelectableFlags_AllowOverlap, {room, height}))
    actions.open_chat(entry.id);
  const bool shows_more =
      ImGui::IsItemHovered() || ImGui::IsItemFocused() || is_open || ImGui::IsPopupOpen("###chat_menu");
  if (ImGui::IsItemClicked(ImGuiMouseButton_Right)) ImGui::OpenPopup("###chat_menu");
  if (ImGui::IsItemFocused() && why_not_change(chat) == nullptr) {
    if (ImGui::IsKeyPressed(ImGuiKey_F2, false)) begin_rename(chat, entry.id, own);
    if (ImGui::IsKeyPressed(ImGuiKey_Delete, false)) actions.delete_chat(entry.id);
  }

  const std::string title = one_line(entry.title, longest_shown, no_title);
  const std::string age = age_text(entry.updated_ms, now_ms);
  const float gap = ImGui::GetStyle().ItemInnerSpacing.x;
  const float text_top = at.y + ImGui::GetStyle().FramePadding.y;
  const float text_bottom = text_top + ImGui::GetTextLineHeight();
  const float more_width = shows_more ? height + gap : 0;
  float right = at.x + room - gap - more_width;
  if (room > ImGui::GetFontSize() * 16) {
    right -= width_of(age);
    ImGui::GetWindowDrawList()->AddText({right, text_top}, ImGui::GetColorU32(ImGuiCol_TextDisabled), age.c_str());
    right -= gap;
  }
  draw_elided(*ImGui::GetWindowDrawList(), {at.x + gap, text_top}, {right, text_bottom},
              ImGui::GetColorU32(ImGuiCol_Text), title);
  explain(title + "\n" + age);
  if (shows_more) {
    ImGui::SameLine();
    ImGui::SetCursorScreenPos({at.x + room - height, at.y});
    if (ImGui::Button("…###more", {height, height})) ImGui::OpenPopup("###chat_menu");
    explain("Rename or delete this chat.");
  }
  draw_menu(chat, entry, actions, own);
}

}  // namespace

void begin_rename(const ChatView& chat, int64_t id, ChatListState& own) {
  const auto found = std::find_if(chat.chats.begin(), chat.chats.end(), [&](const ChatEntry& e) { return e.id == id; });
  if (found == chat.chats.end() || chat.is_read_only) return;
  own.renamed_chat = id;
  own.new_title = one_line(found->title, longest_shown);
  own.focus_title = true;
}

void draw_chat_list(const Mirror& /*mirror*/, const ChatView& chat, UiState& /*state*/, Actions& actions,
                    ChatListState& own) {
  if (chat.replay) return empty_panel_text("A recording is shown: it has one conversation and no list of chats.");
  if (const char* why = why_not_change(chat)) {
    ImGui::PushTextWrapPos(0);
    ImGui::TextUnformatted(why);
    ImGui::PopTextWrapPos();
  }
  ImGui::BeginDisabled(chat.is_read_only);
  if (ImGui::Button("New chat###new_chat", {-1, 0})) actions.new_chat();
  ImGui::EndDisabled();
  explain(chat.is_read_only ? why_not_change(chat) : "Begins an empty conversation. The open one stays in the list.");
  if (chat.chats.empty()) return empty_panel_text("No chats yet. A chat appears here with its first message.");

  ImGui::BeginChild("###chats_rows");
  const int64_t now_ms = clock_ms(chat);
  ImGuiListClipper clipper;
  clipper.Begin(static_cast<int>(chat.chats.size()), ImGui::GetFrameHeight() + ImGui::GetStyle().ItemSpacing.y);
  while (clipper.Step()) {
    for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i) {
      const ChatEntry& entry = chat.chats[static_cast<size_t>(i)];
      ImGui::PushID(("chat_" + std::to_string(entry.id)).c_str());
      if (own.renamed_chat == entry.id)
        draw_title_field(entry, actions, own);
      else
        draw_row(chat, entry, now_ms, actions, own);
      ImGui::PopID();
    }
  }
  ImGui::EndChild();
}

}  // namespace headroom
