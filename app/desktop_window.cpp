// Joins controller, Ui and host. See desktop_window.h.
#include "app/desktop_window.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "app/console.h"
#include "app/desktop/chat_window.h"
#include "app/desktop/replay.h"
#include "app/desktop/settings.h"
#include "app/end_signals.h"
#include "app/window/client.h"
#include "app/window/file_dialog.h"
#include "app/window/offscreen_host.h"
#include "app/window/window_host.h"
#include "engine/backend/registry.h"
#include "engine/base/error.h"
#include "engine/base/platform/platform.h"
#include "engine/base/platform/private_file.h"
#include "ui/ui.h"

namespace headroom {
namespace {

/// The part of a window client that a live chat and a recording share. Source: ChatWindow or Replay.
template <typename Source>
class Program : public WindowClient {
 public:
  /// panel: see Ui::draw. signals: null if no signal is handled.
  Program(Source& source, UiState& state, std::string panel = "", const EndSignals* signals = nullptr)
      : source_(source), state_(state), panel_(std::move(panel)), signals_(signals) {}

  Redraw poll() override {
    const bool changed = source_.poll();
    if constexpr (requires { source_.take_chosen_file(); }) source_.take_chosen_file();
    keep_draft();
    const bool is_playing = source_.view().replay && source_.view().replay->is_playing;
    return changed || is_playing ? Redraw::soon : Redraw::none;
  }
  void draw_frame() override { ui_.draw(source_.mirror(), source_.view(), state_, actions(), panel_); }
  void files_dropped(const std::vector<std::string>& paths) override {
    if (!paths.empty()) actions().open_files(paths);
  }
  void closing() override {
    if constexpr (requires { source_.close(); }) source_.close();
  }
  bool wants_to_quit() const override {
    return source_.wants_to_quit() || (signals_ != nullptr && signals_->received() != 0);
  }
  std::string title() const override {
    const ChatView& view = source_.view();
    if (view.replay) return std::filesystem::path(view.replay->path).filename().string() + " – Headroom";
    for (const ChatEntry& chat : view.chats)
      if (chat.id == view.open_chat) return chat.title + " – Headroom";
    return "Headroom";
  }

 private:
  Actions& actions() {
    if constexpr (requires { source_.actions(); })
      return source_.actions();
    else
      return source_;
  }

  /// Saves a draft once typing pauses for a moment, so that a crash does not lose it.
  void keep_draft() {
    const auto now = std::chrono::steady_clock::now();
    if (state_.draft != seen_draft_) {
      seen_draft_ = state_.draft;
      draft_since_ = now;
      draft_is_kept_ = false;
    } else if (!draft_is_kept_ && now - draft_since_ > std::chrono::seconds(1)) {
      actions().settings_changed();
      draft_is_kept_ = true;
    }
  }

  Source& source_;
  UiState& state_;
  std::string panel_;
  const EndSignals* signals_;
  std::string seen_draft_ = state_.draft;
  std::chrono::steady_clock::time_point draft_since_;
  bool draft_is_kept_ = true;
  Ui ui_;
};

/// A chat with the desktop's file dialog.
class LiveChat : public ChatWindow {
 public:
  explicit LiveChat(Controller& chat) : ChatWindow(chat), chat_(chat) {
    chat.on_choose_model = [this] {
      if (!dialog_.open())
        chat_.add_note(
            "This desktop has no file dialog (zenity, kdialog …): drop a file on the window, or start with -m FILE.");
    };
  }

  void take_chosen_file() {
    const std::string path = dialog_.take();
    if (!path.empty()) chat_.open_files({path});
  }

 private:
  Controller& chat_;
  FileDialog dialog_;
};

/// The user's settings, read when the window opens and written whenever one of them changes.
class KeptSettings {
 public:
  KeptSettings() { problem_ = load_settings(path_, state, window); }
  void save() { save_settings(path_, state, window); }
  const std::string& problem() const { return problem_; }

  UiState state;
  WindowSettings window;

 private:
  std::string path_ = config_folder() + "/settings.json";
  std::string problem_;
};

/// Shows the program until its window is closed or a signal asks for the end. Returns a sentence if no window could be
/// opened. Throws Error if the window failed, and EndedBySignal once everything is saved. hooks: receives the callbacks
/// for the clipboard and for saving the settings.
template <typename Source, typename Hooks>
std::string show(Source& source, Hooks& hooks, KeptSettings& settings, const EndSignals& signals) {
  hooks.on_set_clipboard = copy_to_clipboard;
  hooks.on_settings_changed = [&] { settings.save(); };
  Program<Source> program(source, settings.state, "", &signals);
  // Checked first, because a driver that crashes would end the window's process.
  if (std::string failure = driver_failure(); !failure.empty()) return failure;
  const WindowResult result = run_window(program, {settings.window.width, settings.window.height});
  if (!result.was_open) return result.problem;
  if (result.width > 0) settings.window = {result.width, result.height};
  settings.save();
  if (!result.problem.empty()) throw Error(ErrorKind::device, result.problem);
  if (signals.received() != 0) throw EndedBySignal(signals.received());
  return "";
}

/// Checked before anything is started; empty if there is a display.
std::string why_no_display() {
  const auto is_set = [](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0';
  };
  return is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")
             ? ""
             : "there is no display (DISPLAY and WAYLAND_DISPLAY are not set)";
}

// Frames until the layout of panels, text and plots has settled.
constexpr int n_settling_frames = 12;

}  // namespace

std::vector<std::string> panel_names() {
  return Ui::panel_names();
}

std::string show_chat_window(ControllerOptions options) {
  const std::string no_display = why_no_display();
  if (!no_display.empty()) return no_display;
  const EndSignals signals(wake_window);
  prepare_backend({.name = "vulkan"});  // the window draws with Vulkan, whichever backend computes
  KeptSettings settings;
  try {
    own_private_folder(data_folder());
  } catch (const Error&) {  // the chat store reports what is wrong with its folder
  }
  options.wake = wake_window;
  if (options.chats_path.empty()) options.chats_path = data_folder() + "/chats.sqlite";
  if (options.recordings_folder.empty()) options.recordings_folder = data_folder() + "/recordings";
  Controller chat(std::move(options));
  if (!settings.problem().empty()) chat.add_note(settings.problem());
  LiveChat window(chat);
  return show(window, chat, settings, signals);
}

void show_replay_window(const std::string& trace_path) {
  const EndSignals signals(wake_window);
  prepare_backend({.name = "vulkan"});
  Replay replay(trace_path);
  KeptSettings settings;
  const std::string no_window = show(replay, replay, settings, signals);
  if (!no_window.empty())
    throw Error(ErrorKind::device, no_window + "; --png FILE makes a picture of the recording instead");
}

void draw_replay_picture(const std::string& trace_path, const PictureOptions& options) {
  prepare_backend({.name = "vulkan"});
  Replay replay(trace_path);
  if (options.at_token >= 0) replay.go_to_token(options.at_token);
  UiState state;
  state.dark = options.dark;
  if (options.pinned) {
    const LoadedModel& model = *replay.mirror().model();
    const auto [layer, kv_head] = *options.pinned;
    if (layer >= model.n_layers || kv_head >= model.n_kv_heads)
      throw Error("layer " + std::to_string(layer) + ", KV head " + std::to_string(kv_head) +
                  " was asked for; the model has " + std::to_string(model.n_layers) + " layers of " +
                  std::to_string(model.n_kv_heads) + " KV heads");
    state.pinned_head = layer * model.n_kv_heads + kv_head;
  }
  if (const std::string failure = driver_failure(); !failure.empty()) throw Error(ErrorKind::device, failure);
  OffscreenHost host(options.width, options.height, options.scale);
  Program<Replay> program(replay, state, options.panel);
  for (int i = 0; i < n_settling_frames; ++i) host.frame(program);
  ensure_private_file(options.png_path);
  write_png(options.png_path, host.width(), host.height(), host.read_rgba());
}

}  // namespace headroom
