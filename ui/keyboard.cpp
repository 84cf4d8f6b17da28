// ImGui's state ─► who has the keyboard. See keyboard.h.
#include "ui/keyboard.h"

#include <imgui.h>
#include <imgui_internal.h>

namespace headroom {
namespace {

void append_utf8(std::string& text, unsigned int character) {
  char bytes[5] = {};
  ImTextCharToUtf8(bytes, character);
  text += bytes;
}

}  // namespace

StrayTyping take_stray_typing() {
  ImGuiIO& io = ImGui::GetIO();
  ImGuiContext& g = *ImGui::GetCurrentContext();
  StrayTyping typing;
  if (io.WantTextInput || ImGui::IsPopupOpen("", ImGuiPopupFlags_AnyPopup)) return typing;
  if (ImGui::IsKeyPressed(ImGuiKey_Backspace) && io.KeyMods == ImGuiMod_None) typing.n_erased = 1;
  const bool pastes = ImGui::IsKeyChordPressed(ImGuiMod_Ctrl | ImGuiKey_V) ||
                      ImGui::IsKeyChordPressed(ImGuiMod_Shift | ImGuiKey_Insert);
  if (const char* clipboard = pastes ? ImGui::GetClipboardText() : nullptr) typing.text += clipboard;
  for (const ImWchar character : io.InputQueueCharacters) {
    // During navigation by keys, Space presses the item under the navigation cursor.
    if (character < ' ' || character == 0x7f || (character == ' ' && g.NavCursorVisible)) continue;
    append_utf8(typing.text, character);
  }
  if (!typing.text.empty()) io.InputQueueCharacters.resize(0);
  return typing;
}

void apply_stray_typing(const StrayTyping& typing, std::string& draft) {
  for (int i = 0; i < typing.n_erased && !draft.empty(); ++i) {
    do draft.pop_back();
    while (!draft.empty() && (static_cast<unsigned char>(draft.back()) & 0xc0) == 0x80);
  }
  draft += typing.text;
}

bool keyboard_is_free(KeyboardState& own, bool panel_keeps_it) {
  const ImGuiContext& g = *ImGui::GetCurrentContext();
  const bool is_used = g.ActiveId != 0 || g.NavCursorVisible || ImGui::IsAnyMouseDown() ||
                       ImGui::IsPopupOpen("", ImGuiPopupFlags_AnyPopup) || panel_keeps_it;
  // Two frames, because a change from one field to another has one frame in which none has the keyboard.
  own.n_free_frames = is_used ? 0 : own.n_free_frames + 1;
  return own.n_free_frames >= 2;
}

std::string focused_panel() {
  const ImGuiWindow* window = ImGui::GetCurrentContext()->NavWindow;
  return window != nullptr && window->RootWindow != nullptr ? window->RootWindow->Name : "";
}

}  // namespace headroom
