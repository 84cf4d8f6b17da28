// The program in an off-screen window: a Controller or a Replay, the real panels, and a simulated user at the mouse and
// the keys (imgui_test_engine). Nothing is rasterised unless a test asks for a picture.
#pragma once

#include <imgui_te_context.h>
#include <imgui_te_engine.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/window/offscreen_host.h"
#include "tests/ui_flow/watch.h"
#include "ui/shortcuts.h"
#include "ui/ui.h"

namespace headroom::test {

/// What a Stage shows: the calls that Controller and Replay have in common.
struct Source {
  std::function<bool()> poll;
  std::function<const Mirror&()> mirror;
  std::function<const ChatView&()> view;
  std::function<Actions*()> actions;
};
template <typename Program>
Source source_of(Program& program) {
  return {[&] { return program.poll(); }, [&]() -> const Mirror& { return program.mirror(); },
          [&]() -> const ChatView& { return program.view(); }, [&] { return &program; }};
}

class Stage;

/// The actions of a simulated user. Paths are those of imgui_test_engine: "//###heads/**/###cells".
class Person {
 public:
  Person(ImGuiTestContext& context, Stage& stage) : context_(context), stage_(stage) {}
  ImGuiTestContext* operator->() { return &context_; }

  void click(const std::string& item, ImGuiMouseButton button = ImGuiMouseButton_Left);
  void choose(const std::string& list, const std::string& entry);  // from a combo
  void choose(Action action);                                      // from the menus
  void press(Action action, bool other_chord = false, int count = 1);
  void press(Action action, ImGuiKey key);  // one of several keys of a row of the table
  void type(const std::string& text);       // where the keyboard is
  void hover(ImVec2 at);
  void hover_item(const std::string& item);
  bool sees(const std::string& item);
  ImRect place_of(const std::string& item);
  void frames(int n = 2) { context_.Yield(n); }
  /// Draws frames until the condition holds; false after timeout_ms.
  bool until(const std::function<bool()>& is_so, int timeout_ms = 20'000);
  /// The drawn texts of a panel, see lines_of.
  std::vector<std::string> reads(const std::string& panel);
  /// Whether a line of the panel contains this.
  bool reads(const std::string& panel, const std::string& part);

 private:
  ImGuiTestContext& context_;
  Stage& stage_;
};

class Stage {
 public:
  explicit Stage(Source source, int width = 1280, int height = 800, float scale = 1,
                 Rasterize rasterize = Rasterize::no, std::string panel = "");
  ~Stage();

  UiState state;
  void frames(int n);
  /// Runs the steps to their end; rethrows their exceptions and failed checks in the caller.
  void act(const std::function<void(Person&)>& steps);
  /// Drops files on the window.
  void drop(const std::vector<std::string>& paths);
  OffscreenHost& host() { return *host_; }
  /// Texts of the last frame.
  const std::vector<SeenText>& texts() const { return texts_; }
  /// Colours of the triangle corners inside a rectangle in the last frame, with their counts.
  std::map<ImU32, int> colors_in(const ImRect& place) const;
  Source& source() { return source_; }

 private:
  class Client;
  Source source_;
  std::string panel_;
  Ui ui_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<OffscreenHost> host_;
  ImGuiTestEngine* engine_ = nullptr;
  std::vector<SeenText> texts_;
  std::vector<std::pair<ImVec2, ImU32>> corners_;
};

}  // namespace headroom::test
