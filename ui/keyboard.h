// Decides once per frame, for the whole window, who has the keyboard. If no field, list or menu has it, the message
// field gets it. Text typed while there is no caret goes there too, so that no typing is lost.
#pragma once

#include <string>

namespace headroom {

struct KeyboardState {
  int n_free_frames = 0;
};

/// What was typed, pasted or erased in this frame while no field accepted text.
struct StrayTyping {
  std::string text;
  int n_erased = 0;  // by Backspace, before the text
  bool is_empty() const { return text.empty() && n_erased == 0; }
};

/// Removes the typing from ImGui's queue. Call it before anything is drawn.
StrayTyping take_stray_typing();
/// Removes n_erased characters from the end of the draft and appends the text.
void apply_stray_typing(const StrayTyping& typing, std::string& draft);

/// Whether nothing has used the keyboard for two frames: no field, list, menu, held button or navigation by keys.
/// panel_keeps_it: the focused panel reads keys itself. Call it once per frame, before anything is drawn.
bool keyboard_is_free(KeyboardState& own, bool panel_keeps_it);

/// Window name ("Heads###heads") of the docked panel that has the focus; empty: none has.
std::string focused_panel();

}  // namespace headroom
