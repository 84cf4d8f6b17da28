// The table of all keys of the window: the chord, its action, the text that F1 and the menus print. Also performs the
// actions that need no panel, so that a key, a menu entry and a button do the same. Knows no panel.
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

/// Who handles the keys.
enum class KeyScope {
  window,      // pressed_shortcut(), also while a text field has the keyboard
  not_typing,  // pressed_shortcut(), unless a text field has the keyboard
  panel,       // the panel or field that has the focus; the table only lists the key
};

struct Shortcut {
  Action action;
  const char* id;                    // "new_chat"; for the tests' list of used actions
  ImGuiKeyChord chord, other_chord;  // ImGuiKey_None: there is no second one
  const char* keys;                  // "Ctrl+N"; both chords
  const char* what;                  // "Begin a new chat"
  const char* group;                 // "Chat"
  KeyScope scope;
};

/// In the order of the help, groups together. Every Action is in it once.
std::span<const Shortcut> shortcuts();
const Shortcut& shortcut_of(Action action);
/// What a menu prints: "Ctrl+N"
const char* key_text(Action action);

/// The action whose keys went down in this frame. text_input_active: a text field has the keyboard
/// (ImGuiIO::WantTextInput).
std::optional<Action> pressed_shortcut(bool text_input_active);

/// Whether the action would do something now, as far as this is known without the panels.
bool is_enabled(Action action, const Mirror& mirror, const ChatView& chat, const UiState& state);
/// Performs the action and returns true. Returns false if it is not enabled, or if a panel must do it (scrolling,
/// renaming, applying a policy …).
bool perform(Action action, const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions);

inline constexpr float min_zoom = 0.5f, max_zoom = 3.0f;

}  // namespace headroom
