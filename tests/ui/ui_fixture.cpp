// Connects host, test engine and panels, and destroys them in the order that the test engine requires.
#include "tests/ui/ui_fixture.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace headroom::test {

class UiFixture::Client : public WindowClient {
 public:
  explicit Client(UiFixture& fixture) : fixture_(fixture) {}
  Redraw poll() override { return Redraw::now; }
  void draw_frame() override {
    fixture_.ui_.draw(fixture_.mirror, fixture_.chat, fixture_.state, fixture_.actions, fixture_.panel_);
  }
  void files_dropped(const std::vector<std::string>&) override {}
  void closing() override {}
  bool wants_to_quit() const override { return false; }
  std::string title() const override { return "test"; }

 private:
  UiFixture& fixture_;
};

int RecordedActions::count(const std::string& call) const {
  return static_cast<int>(std::count(calls.begin(), calls.end(), call));
}

UiFixture::UiFixture(std::string panel, int width, int height)
    : panel_(std::move(panel)),
      client_(std::make_unique<Client>(*this)),
      host_(std::make_unique<OffscreenHost>(width, height, 1.0f, Rasterize::no)) {
  chat.engine_is_running = true;
  chat.can_send = true;
  engine_ = ImGuiTestEngine_CreateContext();
  ImGuiTestEngineIO& io = ImGuiTestEngine_GetIO(engine_);
  io.ConfigRunSpeed = ImGuiTestRunSpeed_Fast;
  io.ConfigVerboseLevel = ImGuiTestVerboseLevel_Silent;
  io.ConfigVerboseLevelOnError = ImGuiTestVerboseLevel_Error;
  io.ConfigLogToTTY = true;
  io.ConfigSavedSettings = false;
  io.ConfigMouseDrawCursor = false;
  ImGuiTestEngine_Start(engine_, ImGui::GetCurrentContext());
}

UiFixture::~UiFixture() {
  ImGuiTestEngine_Stop(engine_);
  host_.reset();
  ImGuiTestEngine_DestroyContext(engine_);
}

void UiFixture::frames(int n) {
  for (int i = 0; i < n; ++i) {
    host_->frame(*client_);
    ImGuiTestEngine_PostSwap(engine_);
  }
}

void UiFixture::act(const std::function<void(ImGuiTestContext&)>& steps) {
  frames(4);  // windows have their final places
  ImGuiTest* test = ImGuiTestEngine_RegisterTest(engine_, "ui", "steps", __FILE__, __LINE__);
  test->TestFunc = [&](ImGuiTestContext* context) { steps(*context); };
  ImGuiTestEngine_QueueTest(engine_, test, ImGuiTestRunFlags_RunFromCommandLine);
  for (int i = 0; i < 5000 && !ImGuiTestEngine_IsTestQueueEmpty(engine_); ++i) frames(1);
  REQUIRE(ImGuiTestEngine_IsTestQueueEmpty(engine_));
  CHECK(test->Output.Status == ImGuiTestStatus_Success);
  ImGuiTestEngine_UnregisterTest(engine_, test);
}

}  // namespace headroom::test
