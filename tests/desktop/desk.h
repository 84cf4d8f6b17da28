// A window without drawing, for one test: a folder of its own, a Controller, and the fake engine with given options.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "app/desktop/controller.h"

namespace headroom::test {

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "headroom-desktop-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder for the test");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::string fake_engine(const std::string& options = "") {
  return std::string("exec '") + HEADROOM_FAKE_ENGINE + "' " + options;
}

struct Desk {
  Folder folder;
  ControllerOptions options;
  std::unique_ptr<Controller> controller;

  explicit Desk(const std::string& engine_options = "") {
    options.model_path = "fake.gguf";
    options.config = *find_cache_config("paper");
    options.engine_command = fake_engine(engine_options);
    options.chats_path = folder / "chats.sqlite";
    options.recordings_folder = folder / "recordings";
  }
  Desk& open() {
    controller.reset();
    controller = std::make_unique<Controller>(options);
    return *this;
  }
  Desk& open_and_load() {
    open();
    REQUIRE(until([&] { return view().can_send; }));
    return *this;
  }
  Controller* operator->() { return controller.get(); }
  const ChatView& view() const { return controller->view(); }

  /// Polls until the condition holds; false after timeout_ms.
  bool until(const std::function<bool()>& is_so, int timeout_ms = 20'000) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    while (std::chrono::steady_clock::now() < end) {
      controller->poll();
      if (is_so()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  void poll_for(int milliseconds) {
    until([] { return false; }, milliseconds);
  }
  /// Sends a message and polls until the answer ends.
  void say(const std::string& text) {
    controller->send(text);
    REQUIRE(until([&] { return view().can_send; }));
  }
  bool has_answer_of(size_t n_bytes) const {
    return !view().messages.empty() && view().messages.back().role == "assistant" &&
           view().messages.back().content.size() >= n_bytes;
  }
  bool has_banner(const std::string& part) const {
    for (const Banner& banner : view().banners)
      if (banner.text.find(part) != std::string::npos) return true;
    return false;
  }
  std::vector<std::string> shown() const {
    std::vector<std::string> texts;
    for (const TranscriptMessage& message : view().messages) texts.push_back(message.role + ": " + message.content);
    return texts;
  }
  /// The messages on disk of the n-th newest chat, as another program reads them.
  std::vector<StoredMessage> stored(size_t nth_chat = 0) const {
    ChatStore store = ChatStore::open(options.chats_path);
    const std::vector<ChatSummary> chats = store.list();
    return nth_chat < chats.size() ? store.messages(chats[nth_chat].id) : std::vector<StoredMessage>();
  }
};

}  // namespace headroom::test
