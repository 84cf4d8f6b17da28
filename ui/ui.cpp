// Draws the frame around the panels (theme, keys, menus, dock space, status bar), then each panel in its window. Can
// also draw one panel alone over the whole picture.
#include "ui/ui.h"

#include <imgui.h>
#include <imgui_internal.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <iterator>

#include "ui/banner.h"
#include "ui/composer.h"
#include "ui/help.h"
#include "ui/keyboard.h"
#include "ui/layout.h"
#include "ui/menu_bar.h"
#include "ui/replay_bar.h"
#include "ui/shortcuts.h"
#include "ui/status_bar.h"
#include "ui/theme.h"
#include "ui/transcript.h"

#define HEADROOM_PANEL_HEADERS
#include "ui/panels.def"

namespace headroom {

struct Ui::Impl {
  BannerState banners;
  TranscriptState transcript;
  ComposerState composer;
  HelpState help;
#define HEADROOM_PANEL(id, title, place, key, what, State, draw) State id;
#include "ui/panels.def"
  StatusBarState status;
  KeyboardState keyboard;
  const Mirror* shown = nullptr;  // in the previous frame

  void begin_with(const Mirror& mirror, UiState& state);

  std::optional<LayoutKind> layout;  // the last one built
  bool wants_layout = false;         // build it again in the next frame
  int frames_since_layout = 0;
  std::optional<uint64_t> n_opened;  // ChatView::n_opened in the previous frame

  void draw_conversation(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions);
  void draw_window(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions);
  void draw_alone(const std::string& panel, const Mirror& mirror, const ChatView& chat, UiState& state,
                  Actions& actions);
  void run(Action action, const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions);
  void take_keys(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions);
  void place_keyboard(const ChatView& chat, UiState& state);
  void keep_layout(ImGuiID dock_space);
};

namespace {

/// Switches what belongs to one chat when another is opened: the draft and the pinned head.
void follow_chat(const ChatView& chat, UiState& state, std::optional<uint64_t>& n_opened, Actions& actions) {
  const bool begins = !n_opened;
  if (begins || *n_opened != chat.n_opened) {
    if (!begins) {
      state.drafts[state.draft_chat] = std::move(state.draft);
      state.draft.clear();
      state.pinned_head = -1;
    }
    // Drop the drafts of chats that no longer exist, at the start only: a deletion in this run can still be undone.
    const auto is_gone = [&](int64_t id) {
      return id != 0 && begins && !chat.chats.empty() &&
             std::none_of(chat.chats.begin(), chat.chats.end(), [&](const ChatEntry& entry) { return entry.id == id; });
    };
    std::erase_if(state.drafts, [&](const auto& entry) { return entry.second.empty() || is_gone(entry.first); });
    if (const auto draft = state.drafts.find(chat.open_chat); draft != state.drafts.end() && state.draft.empty()) {
      state.draft = std::move(draft->second);
      state.drafts.erase(draft);
    }
    if (!begins) actions.settings_changed();
  }
  n_opened = chat.n_opened;
  state.draft_chat = chat.open_chat;
}

/// Ctrl with the wheel zooms, wherever the mouse is.
void zoom_by_wheel(UiState& state, Actions& actions) {
  const ImGuiIO& io = ImGui::GetIO();
  if (!io.KeyCtrl || io.MouseWheel == 0) return;
  const float zoom = std::clamp(state.zoom * std::pow(1.1f, io.MouseWheel), min_zoom, max_zoom);
  if (zoom == state.zoom) return;
  state.zoom = zoom;
  actions.settings_changed();
}

/// Whether the window was the front one of its tabs in the last frame.
bool is_on_top(const char* name) {
  const ImGuiWindow* window = ImGui::FindWindowByName(name);
  return window != nullptr && window->WasActive && !window->Hidden;
}

void bring_tab_to_front(const char* name) {
  const ImGuiWindow* window = ImGui::FindWindowByName(name);
  if (window == nullptr || window->DockNode == nullptr || window->DockNode->TabBar == nullptr) return;
  window->DockNode->TabBar->NextSelectedTabId = window->TabId;
}

}  // namespace

Ui::Ui() : impl_(std::make_unique<Impl>()) {}
Ui::~Ui() = default;

std::vector<std::string> Ui::panel_names() {
  std::vector<std::string> names = {"transcript"};
  for (const Panel& panel : side_panels) names.push_back(panel.name);
  names.push_back("help");
  return names;
}

void Ui::draw(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, const std::string& panel) {
  apply_theme(state.dark, state.zoom);
  ImGui::GetStyle().WindowMenuButtonPosition = ImGuiDir_None;  // tabs already offer what these two do
  ImGui::GetStyle().DockingNodeHasCloseButton = false;
  follow_chat(chat, state, impl_->n_opened, actions);
  impl_->begin_with(mirror, state);
  impl_->place_keyboard(chat, state);
  impl_->take_keys(mirror, chat, state, actions);
  if (panel.empty())
    impl_->draw_window(mirror, chat, state, actions);
  else
    impl_->draw_alone(panel, mirror, chat, state, actions);
}

void Ui::Impl::run(Action action, const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions) {
  const bool is_done = perform(action, mirror, chat, state, actions);
  // After a key that acts on the chat, the user continues to type, wherever the keyboard was.
  if (is_done && std::strcmp(shortcut_of(action).group, "Chat") == 0) composer.wants_focus = true;
  if (is_done || scroll_transcript(action, transcript)) return;
  const bool enabled = is_enabled(action, mirror, chat, state);
  switch (action) {
    case Action::stop:
      // If Esc has nothing to stop, it unpins the head.
      perform(Action::unpin, mirror, chat, state, actions);
      break;
    case Action::rename_chat:
      if (!enabled) break;
      state.show_chats = true;
      begin_rename(chat, chat.open_chat, chats);
      break;
    case Action::focus_input:
      composer.wants_focus = true;
      break;
    case Action::apply_policy:
      apply_policy_draft(mirror, chat, actions, policy);
      break;
    case Action::revert_policy:
      revert_policy_draft(policy);
      break;
    case Action::reset_layout:
      for (const Panel& panel : side_panels) state.*panel.is_shown = true;
      actions.settings_changed();
      wants_layout = true;
      break;
    default:
      break;
  }
}

/// Resets the panels when the window changes between a chat and a recording, which have different Mirrors.
void Ui::Impl::begin_with(const Mirror& mirror, UiState& state) {
  if (shown != nullptr && shown != &mirror) {
    banners = {};
    transcript = {};
    status = {};
    ChatListState same_chats = std::move(chats);  // both have the same list
#define HEADROOM_PANEL(id, ...) id = {};
#include "ui/panels.def"
    chats = std::move(same_chats);
    state.pinned_head = state.hovered_head = state.hovered_token = -1;
    state.show_tokens = false;
  }
  shown = &mirror;
}

/// Gives the keyboard to the message field unless it is used elsewhere. A panel on the right keeps its arrows and
/// Ctrl+C, but text typed there goes into the message too.
void Ui::Impl::place_keyboard(const ChatView& chat, UiState& state) {
  if (chat.replay) return;
  const std::string panel = focused_panel();
  const bool is_on_the_right = std::any_of(std::begin(side_panels), std::end(side_panels), [&](const Panel& side) {
    return panel == side.window && side.place != PanelPlace::left;
  });
  const bool keeps_it = is_on_the_right || !transcript.selection.is_empty() || chats.renamed_chat != 0;
  if (keyboard_is_free(keyboard, keeps_it) && is_on_top(transcript_window)) composer.wants_focus = true;
  const StrayTyping typing = take_stray_typing();
  if (typing.is_empty()) return;
  apply_stray_typing(typing, state.draft);
  composer.wants_focus = true;
  if (!is_on_top(transcript_window)) ImGui::SetWindowFocus(transcript_window);
}

void Ui::Impl::take_keys(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions) {
  zoom_by_wheel(state, actions);
  const std::optional<Action> action = pressed_shortcut(ImGui::GetIO().WantTextInput);
  if (!action) return;
  // Esc goes to what is on top: an open list, the help, the field of a title; then to the running answer.
  const bool is_escape = *action == Action::stop;
  if (is_escape && (ImGui::IsPopupOpen("", ImGuiPopupFlags_AnyPopup) || chats.renamed_chat != 0)) return;
  if (is_escape && state.show_help)
    state.show_help = false;
  else
    run(*action, mirror, chat, state, actions);
}

void Ui::Impl::keep_layout(ImGuiID dock_space) {
  const ImGuiViewport& viewport = *ImGui::GetMainViewport();
  const float em = ImGui::GetFontSize();
  const LayoutKind kind = layout_kind(viewport.WorkSize.x / em, viewport.WorkSize.y / em);
  // If the window became much smaller or larger, the panels need another layout.
  if (!wants_layout && layout == kind) return;
  build_layout(dock_space, viewport.WorkSize, kind);
  layout = kind;
  wants_layout = false;
  frames_since_layout = 0;
}

void Ui::Impl::draw_conversation(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions) {
  draw_banners(mirror, chat, state, actions, banners);
  const ImGuiStyle& style = ImGui::GetStyle();
  const float below = chat.replay ? 2 * ImGui::GetFrameHeightWithSpacing() : composer_height(mirror, chat, state);
  const float height = ImGui::GetContentRegionAvail().y - below - style.ItemSpacing.y;
  if (ImGui::BeginChild("###messages", {0, std::max(height, ImGui::GetFontSize() * 3)}))
    draw_transcript(mirror, chat, state, actions, transcript);
  ImGui::EndChild();
  if (chat.replay)
    draw_replay_bar(mirror, chat, actions);
  else
    draw_composer(mirror, chat, state, actions, composer);
}

void Ui::Impl::draw_window(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions) {
  draw_menu_bar(mirror, chat, state, [&](Action action) { run(action, mirror, chat, state, actions); });

  const ImGuiViewport* viewport = ImGui::GetMainViewport();
  const ImGuiStyle& style = ImGui::GetStyle();
  constexpr ImGuiWindowFlags bar_flags = ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse |
                                         ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoDecoration;
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {style.WindowPadding.x, style.FramePadding.y});
  const float bar_height = ImGui::GetTextLineHeight() + 2 * style.FramePadding.y;
  if (ImGui::BeginViewportSideBar("###status", ImGui::GetMainViewport(), ImGuiDir_Down, bar_height, bar_flags))
    draw_status_bar(mirror, chat, state, actions, status);
  ImGui::End();
  ImGui::PopStyleVar();

  const ImGuiID dock_space = ImHashStr("headroom_dock_space");
  keep_layout(dock_space);
  ImGui::DockSpaceOverViewport(dock_space, viewport);

  // The transcript reads hovered_head, the head map hovered_token. Only one can be set, since there is one mouse.
  if (ImGui::Begin(transcript_window, nullptr, ImGuiWindowFlags_NoCollapse | ImGuiWindowFlags_NoScrollbar))
    draw_conversation(mirror, chat, state, actions);
  else
    state.hovered_token = -1;
  ImGui::End();
  state.hovered_head = -1;
  const auto in_panel = [&](const char* window, bool& is_shown, const std::function<void()>& draw_content) {
    if (!is_shown) return;
    if (ImGui::Begin(window, &is_shown, ImGuiWindowFlags_NoCollapse)) draw_content();
    ImGui::End();
    if (!is_shown) actions.settings_changed();
  };
#define HEADROOM_PANEL(id, title, place, key, what, State, draw) \
  in_panel(id##_window, state.show_##id, [&] { draw(mirror, chat, state, actions, id); });
#include "ui/panels.def"
  draw_help(mirror, chat, state, actions, help);
  // The windows are in their dock nodes only from the second frame on. The heads and the conversation come to the
  // front, and the conversation gets the keys.
  if (frames_since_layout++ == 1) {
    for (const char* window : {heads_window, transcript_window}) bring_tab_to_front(window);
    ImGui::SetWindowFocus(transcript_window);
  }
}

void Ui::Impl::draw_alone(const std::string& panel, const Mirror& mirror, const ChatView& chat, UiState& state,
                          Actions& actions) {
  const auto in_window = [&](const char* window, const std::function<void()>& draw) {
    const ImGuiViewport& viewport = *ImGui::GetMainViewport();
    ImGui::SetNextWindowPos(viewport.WorkPos);
    ImGui::SetNextWindowSize(viewport.WorkSize);
    constexpr ImGuiWindowFlags flags = ImGuiWindowFlags_NoTitleBar | ImGuiWindowFlags_NoResize |
                                       ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoCollapse |
                                       ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoDocking;
    if (ImGui::Begin(window, nullptr, flags)) draw();
    ImGui::End();
  };
#define HEADROOM_PANEL(id, title, place, key, what, State, draw) \
  if (panel == #id) in_window(id##_window, [&] { draw(mirror, chat, state, actions, id); });
#include "ui/panels.def"
  if (panel == "help")
    in_window(help_window, [&] { draw_shortcut_list(); });
  else if (panel == "transcript")
    in_window(transcript_window, [&] { draw_conversation(mirror, chat, state, actions); });
}

}  // namespace headroom
