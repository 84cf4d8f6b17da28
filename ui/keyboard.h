// Where the keyboard is: decided here, once a frame, for the whole window. While no field, list or menu has it, it is
// the message field's. What somebody types without a caret anywhere goes there too, so that no typing is lost.
#pragma once

#include <string>

namespace headroom {

struct KeyboardState {
  int n_free_frames = 0;
};

/// What was typed, pasted or erased in this frame while nothing took text.
struct StrayTyping {
  std::string text;
  int n_erased = 0;  // by Backspace, before the text
  bool is_empty() const { return text.empty() && n_erased == 0; }
};

/// Takes it out of ImGui's queue. Before anything is drawn.
StrayTyping take_stray_typing();
/// Takes the erased characters off the draft and appends the text.
void apply_stray_typing(const StrayTyping& typing, std::string& draft);

/// Whether nothing has used the keyboard for two frames and nobody works by keys: no field, list, menu or held button.
/// A panel that reads keys itself (panel_keeps_it) keeps them. Before anything is drawn, once a frame.
bool keyboard_is_free(KeyboardState& own, bool panel_keeps_it);

/// The docked panel that has the focus, by its window's name ("Heads###heads"); empty: none has.
std::string focused_panel();

}  // namespace headroom
