// The table of keys, and the actions that need no panel.
#include "ui/shortcuts.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace headroom {
namespace {

constexpr ImGuiKeyChord ctrl = ImGuiMod_Ctrl, shift = ImGuiMod_Shift, alt = ImGuiMod_Alt, none = ImGuiKey_None;
constexpr auto window = KeyScope::window, not_typing = KeyScope::not_typing, panel = KeyScope::panel;

// No entry uses a key that a text field needs itself (Ctrl+Z, Ctrl+Home, Ctrl+Shift+arrows …).
constexpr Shortcut table[] = {
    {Action::send, "send", ImGuiKey_Enter, ImGuiKey_KeypadEnter, "Enter", "Send the message", "Chat", panel},
    {Action::new_line, "new_line", shift | ImGuiKey_Enter, none, "Shift+Enter", "Begin a new line in the message",
     "Chat", panel},
    {Action::older_input, "older_input", ImGuiKey_UpArrow, none, "Up",
     "In the message's first line: the message sent before", "Chat", panel},
    {Action::newer_input, "newer_input", ImGuiKey_DownArrow, none, "Down",
     "In the message's last line: the message sent after, then the draft", "Chat", panel},
    {Action::stop, "stop", ImGuiKey_Escape, none, "Esc", "Stop the answer, or the loading of a model", "Chat", window},
    {Action::regenerate, "regenerate", ctrl | ImGuiKey_R, none, "Ctrl+R",
     "Generate another answer; the old one stays as a version", "Chat", window},
    {Action::older_version, "older_version", ctrl | ImGuiKey_Comma, none, "Ctrl+,",
     "Go back to the answer before this one", "Chat", window},
    {Action::newer_version, "newer_version", ctrl | ImGuiKey_Period, none, "Ctrl+.", "Go to the answer after this one",
     "Chat", window},
    {Action::take_back, "take_back", ctrl | ImGuiKey_E, none, "Ctrl+E",
     "Take back the message without an answer, to edit it", "Chat", window},
    {Action::drop_oldest, "drop_oldest", ctrl | shift | ImGuiKey_O, none, "Ctrl+Shift+O",
     "Drop the oldest turns: the model no longer reads them", "Chat", window},
    {Action::focus_input, "focus_input", ctrl | ImGuiKey_L, none, "Ctrl+L", "Go to the message field", "Chat", window},
    {Action::new_chat, "new_chat", ctrl | ImGuiKey_N, none, "Ctrl+N", "Begin a new chat", "Chat", window},
    {Action::next_chat, "next_chat", ctrl | ImGuiKey_PageDown, none, "Ctrl+PageDown", "Open the next chat of the list",
     "Chat", window},
    {Action::previous_chat, "previous_chat", ctrl | ImGuiKey_PageUp, none, "Ctrl+PageUp",
     "Open the chat above in the list", "Chat", window},
    {Action::rename_chat, "rename_chat", ImGuiKey_F2, none, "F2", "Rename this chat", "Chat", window},
    {Action::delete_chat, "delete_chat", ctrl | shift | ImGuiKey_D, none, "Ctrl+Shift+D",
     "Delete this chat (can be undone)", "Chat", window},
    {Action::delete_row, "delete_row", ImGuiKey_Delete, none, "Del",
     "In the list of chats: delete the chat that the keyboard is on", "Chat", panel},
    {Action::undo_delete, "undo_delete", ctrl | shift | ImGuiKey_U, none, "Ctrl+Shift+U", "Bring the deleted chat back",
     "Chat", window},

    {Action::page_up, "page_up", ImGuiKey_PageUp, none, "PageUp", "A page up", "Transcript", window},
    {Action::page_down, "page_down", ImGuiKey_PageDown, none, "PageDown", "A page down", "Transcript", window},
    {Action::to_start, "to_start", ctrl | shift | ImGuiKey_J, none, "Ctrl+Shift+J", "To the first message",
     "Transcript", window},
    {Action::to_end, "to_end", ctrl | ImGuiKey_J, none, "Ctrl+J", "To the end, and follow the answer", "Transcript",
     window},
    {Action::copy, "copy", ctrl | ImGuiKey_C, none, "Ctrl+C", "Copy the selected text", "Transcript", panel},
    {Action::copy_answer, "copy_answer", ctrl | shift | ImGuiKey_C, none, "Ctrl+Shift+C", "Copy the last answer",
     "Transcript", window},
    {Action::toggle_tokens, "toggle_tokens", ctrl | ImGuiKey_T, none, "Ctrl+T", "Show the conversation as tokens",
     "Transcript", window},

    {Action::choose_model, "choose_model", ctrl | ImGuiKey_O, none, "Ctrl+O", "Open a model file", "Model", window},
    {Action::restart_engine, "restart_engine", ctrl | shift | ImGuiKey_R, none, "Ctrl+Shift+R", "Restart the engine",
     "Model", window},
    {Action::apply_policy, "apply_policy", ctrl | shift | ImGuiKey_P, none, "Ctrl+Shift+P",
     "Apply the edited cache policy", "Model", window},
    {Action::revert_policy, "revert_policy", ctrl | shift | ImGuiKey_V, none, "Ctrl+Shift+V",
     "Go back to the cache policy in use", "Model", not_typing},
    {Action::toggle_recording, "toggle_recording", ctrl | shift | ImGuiKey_S, none, "Ctrl+Shift+S",
     "Start or stop the recording of a trace", "Model", window},

    {Action::move_pin, "move_pin", none, none, "Arrow keys", "In the head map: pin the next head that way", "Heads",
     panel},
    {Action::unpin, "unpin", ImGuiKey_Escape, none, "Esc", "Unpin the head, if nothing runs", "Heads", panel},
    {Action::next_head_map_mode, "next_head_map_mode", ctrl | ImGuiKey_M, none, "Ctrl+M",
     "Next colouring of the heads: policy, kept share, recovery, bytes, importance", "Heads", window},

    {Action::replay_play_or_pause, "replay_play_or_pause", ImGuiKey_Space, none, "Space", "Play or pause a trace",
     "Replay", not_typing},
    {Action::replay_back, "replay_back", alt | ImGuiKey_LeftArrow, none, "Alt+Left", "One moment back", "Replay",
     window},
    {Action::replay_forward, "replay_forward", alt | ImGuiKey_RightArrow, none, "Alt+Right", "One moment forward",
     "Replay", window},
    {Action::replay_to_start, "replay_to_start", alt | ImGuiKey_Home, none, "Alt+Home", "To the first moment", "Replay",
     window},
    {Action::replay_to_end, "replay_to_end", alt | ImGuiKey_End, none, "Alt+End", "To the last moment", "Replay",
     window},
    {Action::replay_slower, "replay_slower", alt | ImGuiKey_DownArrow, none, "Alt+Down", "Play at half the speed",
     "Replay", window},
    {Action::replay_faster, "replay_faster", alt | ImGuiKey_UpArrow, none, "Alt+Up", "Play at twice the speed",
     "Replay", window},

    {Action::close_replay, "close_replay", ctrl | ImGuiKey_W, none, "Ctrl+W", "Close the recording, back to the chat",
     "Replay", window},

#define HEADROOM_PANEL(id, title, place, key, what, ...) \
  {Action::toggle_##id,                                  \
   "toggle_" #id,                                        \
   ctrl | ImGuiKey_##key,                                \
   none,                                                 \
   "Ctrl+" #key,                                         \
   "Show or hide " what,                                 \
   "Window",                                             \
   window},
#include "ui/panels.def"
    {Action::reset_layout, "reset_layout", ctrl | shift | ImGuiKey_0, none, "Ctrl+Shift+0",
     "Put all panels back in their places", "Window", window},
    {Action::toggle_theme, "toggle_theme", ctrl | ImGuiKey_D, none, "Ctrl+D", "Dark or light", "Window", window},
    {Action::zoom_in, "zoom_in", ctrl | ImGuiKey_Equal, ctrl | ImGuiKey_KeypadAdd, "Ctrl++", "Larger (or Ctrl+wheel)",
     "Window", window},
    {Action::zoom_out, "zoom_out", ctrl | ImGuiKey_Minus, ctrl | ImGuiKey_KeypadSubtract, "Ctrl+-",
     "Smaller (or Ctrl+wheel)", "Window", window},
    {Action::zoom_reset, "zoom_reset", ctrl | ImGuiKey_0, ctrl | ImGuiKey_Keypad0, "Ctrl+0", "Usual size", "Window",
     window},
    {Action::dismiss_banner, "dismiss_banner", ctrl | ImGuiKey_B, none, "Ctrl+B", "Close the message on top", "Window",
     window},
    {Action::toggle_help, "toggle_help", ImGuiKey_F1, none, "F1", "Show this list of keys", "Window", window},
    {Action::quit, "quit", ctrl | ImGuiKey_Q, none, "Ctrl+Q", "Close the window", "Window", window},
};

bool is_pressed(ImGuiKeyChord chord) {
  if (chord == none) return false;
  // Ctrl+Plus is Ctrl+Shift+Equal on many keyboards.
  if (chord == (ctrl | ImGuiKey_Equal) && ImGui::IsKeyChordPressed(chord | shift)) return true;
  return ImGui::IsKeyChordPressed(chord);
}

/// The last message that has other versions; null: there is none.
const TranscriptMessage* last_with_versions(const ChatView& chat) {
  const auto found = std::find_if(chat.messages.rbegin(), chat.messages.rend(),
                                  [](const TranscriptMessage& message) { return message.n_versions > 1; });
  return found == chat.messages.rend() ? nullptr : &*found;
}

/// The chat `step` places below the open one in the list; 0: there is none.
int64_t neighbour(const ChatView& chat, int step) {
  const auto open = std::find_if(chat.chats.begin(), chat.chats.end(),
                                 [&](const ChatEntry& entry) { return entry.id == chat.open_chat; });
  if (open == chat.chats.end()) return step > 0 && !chat.chats.empty() ? chat.chats.front().id : 0;
  const auto place = open - chat.chats.begin() + step;
  return place < 0 || place >= std::ssize(chat.chats) ? 0 : chat.chats[static_cast<size_t>(place)].id;
}

bool offers(const ChatView& chat, bool Banner::*what) {
  return std::any_of(chat.banners.begin(), chat.banners.end(), [&](const Banner& banner) { return banner.*what; });
}

void zoom_by(float factor, UiState& state, Actions& actions) {
  state.zoom = std::clamp(factor == 0 ? 1.0f : state.zoom * factor, min_zoom, max_zoom);
  actions.settings_changed();
}

void toggle(bool& setting, Actions& actions) {
  setting = !setting;
  actions.settings_changed();
}

bool perform_in_replay(Action action, const ReplayView& replay, Actions& actions) {
  const auto seek = [&](int32_t moment) { actions.replay_seek(std::clamp(moment, 0, replay.n_moments - 1)); };
  switch (action) {
    case Action::replay_play_or_pause:
      actions.replay_play_or_pause();
      return true;
    case Action::replay_back:
      seek(replay.moment - 1);
      return true;
    case Action::replay_forward:
      seek(replay.moment + 1);
      return true;
    case Action::replay_to_start:
      seek(0);
      return true;
    case Action::replay_to_end:
      seek(replay.n_moments - 1);
      return true;
    case Action::replay_slower:
      actions.replay_speed(replay.speed / 2);
      return true;
    case Action::replay_faster:
      actions.replay_speed(replay.speed * 2);
      return true;
    case Action::close_replay:
      actions.close_replay();
      return true;
    default:
      return false;
  }
}

bool perform_on_view(Action action, UiState& state, Actions& actions) {
  switch (action) {
    case Action::toggle_tokens:
      state.show_tokens = !state.show_tokens;
      return true;
    case Action::unpin:
      state.pinned_head = -1;
      return true;
    case Action::next_head_map_mode:
      state.head_map_mode = static_cast<HeadMapMode>((static_cast<int>(state.head_map_mode) + 1) % n_head_map_modes);
      return true;
#define HEADROOM_PANEL(id, ...)       \
  case Action::toggle_##id:           \
    toggle(state.show_##id, actions); \
    return true;
#include "ui/panels.def"
    case Action::toggle_theme:
      toggle(state.dark, actions);
      return true;
    case Action::zoom_in:
      zoom_by(1.1f, state, actions);
      return true;
    case Action::zoom_out:
      zoom_by(1 / 1.1f, state, actions);
      return true;
    case Action::zoom_reset:
      zoom_by(0, state, actions);
      return true;
    case Action::toggle_help:
      state.show_help = !state.show_help;
      return true;
    default:
      return false;
  }
}

}  // namespace

std::span<const Shortcut> shortcuts() {
  return table;
}

const Shortcut& shortcut_of(Action action) {
  const auto found =
      std::find_if(std::begin(table), std::end(table), [&](const Shortcut& s) { return s.action == action; });
  assert(found != std::end(table));
  return *found;
}

const char* key_text(Action action) {
  return shortcut_of(action).keys;
}

std::optional<Action> pressed_shortcut(bool text_input_active) {
  for (const Shortcut& shortcut : table) {
    if (shortcut.scope == panel || (shortcut.scope == not_typing && text_input_active)) continue;
    if (is_pressed(shortcut.chord) || is_pressed(shortcut.other_chord)) return shortcut.action;
  }
  return std::nullopt;
}

bool is_enabled(Action action, const Mirror& mirror, const ChatView& chat, const UiState& state) {
  const bool can_change = !chat.is_read_only && !chat.replay;
  switch (action) {
    case Action::stop:
      return !state.show_help && (chat.is_busy || mirror.is_loading());  // Esc closes the help first
    case Action::regenerate:
      return can_change && chat.can_send && !chat.messages.empty() && !chat.messages.back().is_dropped;
    case Action::take_back:
      return can_change && chat.can_send && !chat.messages.empty() && chat.messages.back().role == "user";
    case Action::drop_oldest:
      return can_change && chat.can_send && chat.n_droppable_turns > 0;
    case Action::older_version:
    case Action::newer_version: {
      const TranscriptMessage* message = last_with_versions(chat);
      return can_change && !chat.is_busy && message != nullptr &&
             (action == Action::older_version ? message->version > 0 : message->version + 1 < message->n_versions);
    }
    case Action::new_chat:
      return can_change;
    case Action::next_chat:
      return neighbour(chat, 1) != 0;
    case Action::previous_chat:
      return neighbour(chat, -1) != 0;
    case Action::rename_chat:
    case Action::delete_chat:
      return can_change && chat.open_chat != 0;
    case Action::undo_delete:
      return offers(chat, &Banner::offers_undo);
    case Action::copy_answer:
      return std::any_of(chat.messages.begin(), chat.messages.end(),
                         [](const TranscriptMessage& message) { return message.role == "assistant"; });
    case Action::choose_model:
      return !chat.replay;
    case Action::restart_engine:
      return !chat.replay;
    case Action::apply_policy:
    case Action::revert_policy:
      return chat.can_send;
    case Action::toggle_recording:
      return !chat.replay && ((chat.engine_is_running && mirror.is_open()) || chat.is_recording);
    case Action::unpin:
      return state.pinned_head >= 0;
    case Action::dismiss_banner:
      return !chat.banners.empty();
    case Action::close_replay:
      return chat.replay && chat.replay->has_chat_behind;
    case Action::replay_play_or_pause:
    case Action::replay_back:
    case Action::replay_forward:
    case Action::replay_to_start:
    case Action::replay_to_end:
    case Action::replay_slower:
    case Action::replay_faster:
      return chat.replay && chat.replay->n_moments > 0;
    default:
      return true;
  }
}

bool perform(Action action, const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions) {
  if (!is_enabled(action, mirror, chat, state)) return false;
  switch (action) {
    case Action::stop:
      if (chat.is_busy) {
        actions.stop();
      } else {
        actions.cancel_load();
      }
      return true;
    case Action::regenerate:
      actions.regenerate();
      return true;
    case Action::take_back:
      actions.take_back_message();
      return true;
    case Action::drop_oldest:
      actions.drop_oldest_turns();
      return true;
    case Action::older_version:
    case Action::newer_version: {
      const TranscriptMessage& message = *last_with_versions(chat);
      actions.choose_version(message.id, message.version + (action == Action::older_version ? -1 : 1));
      return true;
    }
    case Action::new_chat:
      actions.new_chat();
      return true;
    case Action::next_chat:
      actions.open_chat(neighbour(chat, 1));
      return true;
    case Action::previous_chat:
      actions.open_chat(neighbour(chat, -1));
      return true;
    case Action::delete_chat:
      actions.delete_chat(chat.open_chat);
      return true;
    case Action::undo_delete:
      actions.undo_delete();
      return true;
    case Action::copy_answer: {
      const auto last = std::find_if(chat.messages.rbegin(), chat.messages.rend(),
                                     [](const TranscriptMessage& message) { return message.role == "assistant"; });
      actions.set_clipboard(last->content);
      return true;
    }
    case Action::choose_model:
      actions.choose_model();
      return true;
    case Action::restart_engine:
      actions.restart_engine();
      return true;
    case Action::toggle_recording:
      if (chat.is_recording) {
        actions.stop_recording();
      } else {
        actions.start_recording();
      }
      return true;
    case Action::dismiss_banner:
      actions.dismiss_banner();
      return true;
    case Action::quit:
      actions.quit();
      return true;
    default:
      break;
  }
  if (perform_on_view(action, state, actions)) return true;
  return chat.replay && perform_in_replay(action, *chat.replay, actions);
}

}  // namespace headroom
