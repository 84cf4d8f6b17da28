// Every key of the window, once: what is pressed, what it does, and what F1 and the menus print. Also what an action is
// when no panel is needed for it, so that a key, a menu entry and a button do the same. Knows no panel.
#pragma once

#include <imgui.h>

#include <optional>
#include <span>

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

enum class Action {
  // chat
  send,
  new_line,
  older_input,
  newer_input,
  stop,
  regenerate,
  older_version,
  newer_version,
  take_back,
  drop_oldest,
  focus_input,
  new_chat,
  next_chat,
  previous_chat,
  rename_chat,
  delete_chat,
  delete_row,
  undo_delete,
  // transcript
  page_up,
  page_down,
  to_start,
  to_end,
  copy,
  copy_answer,
  toggle_tokens,
  // model and engine
  choose_model,
  restart_engine,
  apply_policy,
  revert_policy,
  toggle_recording,
  // heads
  move_pin,
  unpin,
  next_head_map_mode,
  // replay
  replay_play_or_pause,
  replay_back,
  replay_forward,
  replay_to_start,
  replay_to_end,
  replay_slower,
  replay_faster,
  close_replay,
// view
#define HEADROOM_PANEL(id, ...) toggle_##id,
#include "ui/panels.def"
  reset_layout,
  toggle_theme,
  zoom_in,
  zoom_out,
  zoom_reset,
  dismiss_banner,
  toggle_help,
  quit,
};

/// Who looks at the keys.
enum class KeyScope {
  window,      // pressed_shortcut(), also while something is typed
  not_typing,  // pressed_shortcut(), unless something is typed
  panel,       // the panel or field that has the focus; listed only
};

struct Shortcut {
  Action action;
  const char* id;                    // "new_chat"; for lists of what tests used
  ImGuiKeyChord chord, other_chord;  // ImGuiKey_None: there is no second one
  const char* keys;                  // "Ctrl+N"; both chords
  const char* what;                  // "Begin a new chat"
  const char* group;                 // "Chat"
  KeyScope scope;
};

/// In the order of the help, groups together. Every Action stands in it once.
std::span<const Shortcut> shortcuts();
const Shortcut& shortcut_of(Action action);
/// What a menu prints: "Ctrl+N"
const char* key_text(Action action);

/// The action whose keys went down in this frame. text_input_active: a text field has the keyboard
/// (ImGuiIO::WantTextInput).
std::optional<Action> pressed_shortcut(bool text_input_active);

/// Whether it would do something now, as far as that can be told without the panels.
bool is_enabled(Action action, const Mirror& mirror, const ChatView& chat, const UiState& state);
/// Does it and says true; false where it is a panel's to do (scrolling, renaming, applying a policy …), or not enabled.
bool perform(Action action, const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions);

inline constexpr float min_zoom = 0.5f, max_zoom = 3.0f;

}  // namespace headroom
