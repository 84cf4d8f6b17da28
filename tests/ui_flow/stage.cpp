// Connects host, test engine and panels, and destroys them in the order that the test engine requires.
#include "tests/ui_flow/stage.h"

#include <catch2/catch.hpp>
#include <exception>
#include <thread>

#include "tests/ui_flow/coverage.h"
#include "ui/menu_bar.h"

namespace headroom::test {

class Stage::Client : public WindowClient {
 public:
  explicit Client(Stage& stage) : stage_(stage) {}
  Redraw poll() override {
    stage_.source_.poll();
    return Redraw::now;
  }
  void draw_frame() override {
    ImGui::GetCurrentContext()->TestEngineHookItems = true;  // else only while the test engine looks for an item
    stage_.ui_.draw(stage_.source_.mirror(), stage_.source_.view(), stage_.state, *stage_.source_.actions(),
                    stage_.panel_);
  }
  void files_dropped(const std::vector<std::string>& paths) override { stage_.source_.actions()->open_files(paths); }
  void closing() override {}
  bool wants_to_quit() const override { return false; }
  std::string title() const override { return "test"; }

 private:
  Stage& stage_;
};

Stage::Stage(Source source, int width, int height, float scale, Rasterize rasterize, std::string panel)
    : source_(std::move(source)),
      panel_(std::move(panel)),
      client_(std::make_unique<Client>(*this)),
      host_(std::make_unique<OffscreenHost>(width, height, scale, rasterize)) {
  Coverage::of_all_tests();
  engine_ = ImGuiTestEngine_CreateContext();
  ImGuiTestEngineIO& io = ImGuiTestEngine_GetIO(engine_);
  io.ConfigRunSpeed = ImGuiTestRunSpeed_Fast;
  io.ConfigVerboseLevel = ImGuiTestVerboseLevel_Silent;
  io.ConfigVerboseLevelOnError = ImGuiTestVerboseLevel_Error;
  io.ConfigLogToTTY = true;
  io.ConfigSavedSettings = false;
  io.ConfigMouseDrawCursor = false;
  io.ConfigWatchdogWarning = io.ConfigWatchdogKillTest = io.ConfigWatchdogKillApp = FLT_MAX;
  ImGuiTestEngine_Start(engine_, ImGui::GetCurrentContext());
}

Stage::~Stage() {
  ImGuiTestEngine_Stop(engine_);
  host_.reset();
  ImGuiTestEngine_DestroyContext(engine_);
}

void Stage::frames(int n) {
  for (int i = 0; i < n; ++i) {
    watch().texts.clear();
    watch().keeps_texts = true;
    host_->frame(*client_);
    watch().keeps_texts = false;
    texts_ = watch().texts;
    corners_.clear();
    for (const ImDrawList* list : ImGui::GetDrawData()->CmdLists)
      for (const ImDrawVert& vertex : list->VtxBuffer) corners_.emplace_back(vertex.pos, vertex.col);
    Coverage::of_all_tests().frame_ended();
    ImGuiTestEngine_PostSwap(engine_);
  }
}

void Stage::drop(const std::vector<std::string>& paths) {
  client_->files_dropped(paths);
}

std::map<ImU32, int> Stage::colors_in(const ImRect& place) const {
  std::map<ImU32, int> colors;
  for (const auto& [at, color] : corners_)
    if (place.Contains(at)) ++colors[color];
  return colors;
}

void Stage::act(const std::function<void(Person&)>& steps) {
  frames(4);  // windows have their final places
  std::exception_ptr thrown;
  ImGuiTest* test = ImGuiTestEngine_RegisterTest(engine_, "flow", "steps", __FILE__, __LINE__);
  test->TestFunc = [&](ImGuiTestContext* context) {
    try {
      Person person(*context, *this);
      steps(person);
    } catch (...) {  // a failed REQUIRE too: it belongs to the thread of the test case
      thrown = std::current_exception();
    }
  };
  ImGuiTestEngine_QueueTest(engine_, test, ImGuiTestRunFlags_RunFromCommandLine);
  while (!ImGuiTestEngine_IsTestQueueEmpty(engine_)) frames(1);
  const bool succeeded = test->Output.Status == ImGuiTestStatus_Success;
  ImGuiTestEngine_UnregisterTest(engine_, test);
  if (thrown) std::rethrow_exception(thrown);
  CHECK(succeeded);
}

// --- what a person does

void Person::click(const std::string& item, ImGuiMouseButton button) {
  context_.ItemClick(item.c_str(), button);
  frames();
}

void Person::choose(const std::string& list, const std::string& entry) {
  click(list);
  click("//$FOCUSED/" + entry);
}

void Person::choose(Action action) {
  for (const Menu& menu : menus()) {
    for (const MenuEntry& entry : menu.entries) {
      if (entry.action != action) continue;
      const std::string label = menu.label, id = shortcut_of(action).id;
      click("//##MainMenuBar/##MenuBar/" + label.substr(label.find("###")));
      const std::string item = "//$FOCUSED/###" + id;
      INFO("menu entry " << id);
      CHECK((context_.ItemInfo(item.c_str()).ItemFlags & ImGuiItemFlags_Disabled) == 0);
      click(item);
      return;
    }
  }
  FAIL("no menu has " << shortcut_of(action).id);
}

void Person::press(Action action, bool other_chord, int count) {
  const Shortcut& shortcut = shortcut_of(action);
  context_.KeyPress(other_chord ? shortcut.other_chord : shortcut.chord, count);
  Coverage::of_all_tests().key_pressed(action, other_chord);
  frames();
}

void Person::press(Action action, ImGuiKey key) {
  context_.KeyPress(key);
  Coverage::of_all_tests().key_pressed(action, false);
  frames();
}

void Person::type(const std::string& text) {
  context_.KeyChars(text.c_str());
  frames();
}

void Person::hover(ImVec2 at) {
  context_.MouseMoveToPos(at);
  frames();
}

void Person::hover_item(const std::string& item) {
  context_.MouseMove(item.c_str());
  frames();
}

bool Person::sees(const std::string& item) {
  return context_.ItemInfo(item.c_str(), ImGuiTestOpFlags_NoError).ID != 0;
}

ImRect Person::place_of(const std::string& item) {
  return context_.ItemInfo(item.c_str()).RectFull;
}

bool Person::until(const std::function<bool()>& is_so, int timeout_ms) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    frames(1);
  }
  frames();
  return true;
}

std::vector<std::string> Person::reads(const std::string& panel) {
  frames(1);
  return lines_of(stage_.texts(), panel);
}

bool Person::reads(const std::string& panel, const std::string& part) {
  for (const std::string& line : reads(panel))
    if (line.find(part) != std::string::npos) return true;
  return false;
}

}  // namespace headroom::test
