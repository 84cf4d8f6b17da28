// Tables of the menus, and one loop that draws them.
#include "ui/menu_bar.h"

#include <array>
#include <optional>
#include <string>

#include "ui/widgets.h"

namespace headroom {
namespace {

constexpr std::array<MenuEntry, 4> file_entries{{
    {Action::choose_model, "Open model…"},
    {Action::restart_engine, "Restart engine"},
    {Action::toggle_recording, "Record", true},
    {Action::quit, "Quit", true},
}};

constexpr std::array<MenuEntry, 17> chat_entries{{
    {Action::new_chat, "New chat"},
    {Action::next_chat, "Next chat"},
    {Action::previous_chat, "Previous chat"},
    {Action::rename_chat, "Rename", true},
    {Action::delete_chat, "Delete"},
    {Action::undo_delete, "Undo delete"},
    {Action::stop, "Stop", true},
    {Action::regenerate, "Regenerate"},
    {Action::older_version, "Older version"},
    {Action::newer_version, "Newer version"},
    {Action::take_back, "Take back message"},
    {Action::drop_oldest, "Drop oldest turns"},
    {Action::copy_answer, "Copy answer", true},
    {Action::to_start, "To the start"},
    {Action::to_end, "To the end"},
    {Action::focus_input, "Write a message"},
    {Action::dismiss_banner, "Close message"},
}};

constexpr MenuEntry view_entries[] = {
#define HEADROOM_PANEL(id, title, ...) {Action::toggle_##id, title},
#include "ui/panels.def"
    {Action::reset_layout, "Reset layout"},
    {Action::toggle_tokens, "Conversation as tokens", true},
    {Action::next_head_map_mode, "Next colouring of heads"},
    {Action::unpin, "Unpin head"},
    {Action::apply_policy, "Apply policies", true},
    {Action::revert_policy, "Revert policies"},
    {Action::toggle_theme, "Dark", true},
    {Action::zoom_in, "Larger"},
    {Action::zoom_out, "Smaller"},
    {Action::zoom_reset, "Usual size"},
};

constexpr std::array<MenuEntry, 8> replay_entries{{
    {Action::replay_play_or_pause, "Play or pause"},
    {Action::replay_back, "Back"},
    {Action::replay_forward, "Forward"},
    {Action::replay_to_start, "To the first moment"},
    {Action::replay_to_end, "To the last moment"},
    {Action::replay_slower, "Slower"},
    {Action::replay_faster, "Faster"},
    {Action::close_replay, "Back to the chat", true},
}};

constexpr std::array<MenuEntry, 1> help_entries{{{Action::toggle_help, "Keys"}}};

constexpr std::array<Menu, 5> all_menus{{
    {"File###file", file_entries},
    {"Chat###chat", chat_entries},
    {"View###view", view_entries},
    {"Replay###replay", replay_entries},
    {"Help###help", help_entries},
}};

/// Whether an entry is ticked; empty for one that is not a switch.
std::optional<bool> is_on(Action action, const ChatView& chat, const UiState& state) {
  switch (action) {
#define HEADROOM_PANEL(id, ...) \
  case Action::toggle_##id:     \
    return state.show_##id;
#include "ui/panels.def"
    case Action::toggle_tokens:
      return state.show_tokens;
    case Action::toggle_theme:
      return state.dark;
    case Action::toggle_help:
      return state.show_help;
    case Action::toggle_recording:
      return chat.is_recording;
    default:
      return std::nullopt;
  }
}

}  // namespace

std::span<const Menu> menus() {
  return all_menus;
}

void draw_menu_bar(const Mirror& mirror, const ChatView& chat, const UiState& state,
                   const std::function<void(Action)>& run) {
  if (!ImGui::BeginMainMenuBar()) return;
  std::optional<Action> chosen;
  for (const Menu& menu : all_menus) {
    if (menu.entries.data() == replay_entries.data() && !chat.replay) continue;
    if (!ImGui::BeginMenu(menu.label)) continue;
    for (const MenuEntry& entry : menu.entries) {
      if (entry.begins_group) ImGui::Separator();
      const Shortcut& shortcut = shortcut_of(entry.action);
      const std::string label = std::string(entry.label) + "###" + shortcut.id;
      const bool enabled = is_enabled(entry.action, mirror, chat, state);
      if (ImGui::MenuItem(label.c_str(), shortcut.keys, is_on(entry.action, chat, state).value_or(false), enabled))
        chosen = entry.action;
      explain(shortcut.what);
    }
    ImGui::EndMenu();
  }
  ImGui::EndMainMenuBar();
  if (chosen) run(*chosen);
}

}  // namespace headroom
