// A trace file ─► the same Mirror and ChatView that a live engine fills, at any moment of it. Actions that would need
// an engine do nothing.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "app/desktop/engine_link.h"
#include "engine/telemetry/mirror.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

class Replay : public Actions {
 public:
  /// Reads the whole trace. Throws Error if nothing in it can be shown. Damage after that becomes a banner, and the
  /// part before the damage is shown.
  explicit Replay(const std::string& path);
  /// Call it if the recording was opened over a chat. close_replay() then calls on_close.
  void set_chat_behind(std::function<void()> on_close);

  const Mirror& mirror() const { return mirror_; }
  const ChatView& view() const { return view_; }
  bool wants_to_quit() const { return wants_to_quit_; }
  bool poll();  // advances the time while playing; true if something changed

  int32_t n_moments() const { return static_cast<int32_t>(moments_.size()); }
  /// Goes to the first moment at which the cache holds at least n tokens; throws Error if the trace has none.
  void go_to_token(int32_t n_tokens);
  void go_to_end();
  std::function<void(const std::string&)> on_set_clipboard;
  std::function<void()> on_settings_changed;
  std::function<void(const std::vector<std::string>&)> on_open_files;  // for an owner that can open files

  void replay_seek(int32_t moment) override;
  void replay_play_or_pause() override;
  void replay_speed(double factor) override;
  void close_replay() override;
  void open_files(const std::vector<std::string>& paths) override;
  void dismiss_banner() override;
  void set_clipboard(const std::string& text) override;
  void settings_changed() override;
  void quit() override { wants_to_quit_ = true; }

  bool send(const std::string&) override { return false; }
  void take_back_message() override {}
  void drop_oldest_turns() override {}
  void count_draft(const std::string&) override {}
  void take_for_draft() override {}
  void open_default_model() override {}
  void stop() override {}
  void regenerate() override {}
  void choose_version(int64_t, int32_t) override {}
  void new_chat() override {}
  void open_chat(int64_t) override {}
  void rename_chat(int64_t, const std::string&) override {}
  void delete_chat(int64_t) override {}
  void undo_delete() override {}
  void open_model(const std::string&) override {}
  void choose_model() override {}
  void cancel_load() override {}
  void restart_engine() override {}
  void apply_config(const CacheConfig&) override {}
  void start_recording() override {}
  void stop_recording() override {}

 private:
  struct Moment {
    size_t n_events = 0;  // events applied up to this moment
    double time_ms = 0;
    int32_t n_tokens = 0;
  };
  void read(const std::string& path);
  void keep_checkpoint();
  void show();

  std::vector<ReceivedEvent> events_;
  std::vector<Moment> moments_;
  std::vector<std::pair<size_t, Mirror>> checkpoints_;  // number of events and the mirror after them, for going back
  size_t checkpoint_bytes_ = 0, events_between_ = 200, next_checkpoint_ = 0;
  Mirror mirror_;
  size_t n_applied_ = 0;
  ChatView view_;
  std::chrono::steady_clock::time_point playing_since_;
  double playing_from_ms_ = 0;
  std::function<void()> on_close_;
  bool wants_to_quit_ = false;
};

}  // namespace headroom
