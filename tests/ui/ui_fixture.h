// The real panels in a host that rasterises nothing, driven by imgui_test_engine. A test acts as a user and checks
// which Actions the panels called.
#pragma once

#include <imgui.h>
#include <imgui_te_context.h>
#include <imgui_te_engine.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/window/offscreen_host.h"
#include "tests/support/sample_stream.h"
#include "ui/ui.h"

namespace headroom::test {

/// Records every call: "open_chat 3", "rename_chat 3 title".
class RecordedActions : public Actions {
 public:
  std::vector<std::string> calls;
  std::vector<CacheConfig> configs;  // of apply_config

  int count(const std::string& call) const;

  bool accepts_messages = true;

  bool send(const std::string& text) override {
    add("send", text);
    return accepts_messages;
  }
  void take_back_message() override { add("take_back_message"); }
  void drop_oldest_turns() override { add("drop_oldest_turns"); }
  void count_draft(const std::string& draft) override { last_count = draft; }
  void take_for_draft() override { add("take_for_draft"); }
  void open_default_model() override { add("open_default_model"); }
  void open_files(const std::vector<std::string>& paths) override {
    for (const std::string& path : paths) add("open_files", path);
  }
  void close_replay() override { add("close_replay"); }
  std::string last_count;  // the panel asks in every frame until it has a reply
  void stop() override { add("stop"); }
  void regenerate() override { add("regenerate"); }
  void choose_version(int64_t message, int32_t version) override {
    add("choose_version", std::to_string(message) + " " + std::to_string(version));
  }
  void new_chat() override { add("new_chat"); }
  void open_chat(int64_t chat) override { add("open_chat", std::to_string(chat)); }
  void rename_chat(int64_t chat, const std::string& title) override {
    add("rename_chat", std::to_string(chat) + " " + title);
  }
  void delete_chat(int64_t chat) override { add("delete_chat", std::to_string(chat)); }
  void undo_delete() override { add("undo_delete"); }
  void open_model(const std::string& path) override { add("open_model", path); }
  void choose_model() override { add("choose_model"); }
  void cancel_load() override { add("cancel_load"); }
  void restart_engine() override { add("restart_engine"); }
  void apply_config(const CacheConfig& config) override {
    add("apply_config", config.name);
    configs.push_back(config);
  }
  void replay_seek(int32_t moment) override { add("replay_seek", std::to_string(moment)); }
  void replay_play_or_pause() override { add("replay_play_or_pause"); }
  void replay_speed(double factor) override { add("replay_speed", std::to_string(factor)); }
  void start_recording() override { add("start_recording"); }
  void stop_recording() override { add("stop_recording"); }
  void set_clipboard(const std::string& text) override { add("set_clipboard", text); }
  void dismiss_banner() override { add("dismiss_banner"); }
  void settings_changed() override { add("settings_changed"); }
  void quit() override { add("quit"); }

 private:
  void add(const std::string& what, const std::string& with = "") {
    calls.push_back(with.empty() ? what : what + " " + with);
  }
};

class UiFixture {
 public:
  /// panel: as in Ui::draw. The Mirror is empty; the engine runs and is idle.
  explicit UiFixture(std::string panel = "", int width = 1280, int height = 800);
  ~UiFixture();

  Mirror mirror;
  ChatView chat;
  UiState state;
  RecordedActions actions;

  void frames(int n);
  /// Runs a user's steps; the test fails if a named item does not exist. Paths begin with the window: "//###heads/…" or
  /// "//Heads###heads".
  void act(const std::function<void(ImGuiTestContext&)>& steps);

 private:
  class Client;
  std::string panel_;
  Ui ui_;
  std::unique_ptr<Client> client_;
  ImGuiTestEngine* engine_ = nullptr;
  std::unique_ptr<OffscreenHost> host_;
};

}  // namespace headroom::test
