// imgui_test_engine drives a client in both off-screen hosts: it finds widgets, clicks and types like a user.
#include <imgui.h>
#include <imgui_stdlib.h>
#include <imgui_test_engine/imgui_te_context.h>
#include <imgui_test_engine/imgui_te_engine.h>

#include <catch2/catch.hpp>
#include <optional>

#include "app/window/offscreen_host.h"
#include "ui/theme.h"

using namespace headroom;

namespace {

class Form : public WindowClient {
 public:
  Redraw poll() override { return Redraw::none; }
  void draw_frame() override {
    apply_theme(true, 1.0f);
    ImGui::Begin("Form");
    ImGui::InputText("name", &name);
    if (ImGui::Button("Send")) ++sent;
    ImGui::End();
  }
  void files_dropped(const std::vector<std::string>&) override {}
  void closing() override {}
  bool wants_to_quit() const override { return false; }
  std::string title() const override { return "form"; }
  std::string name;
  int sent = 0;
};

}  // namespace

TEST_CASE("the test engine clicks and types in an off-screen client", "[offscreen][test_engine]") {
  const Rasterize rasterize = GENERATE(Rasterize::no, Rasterize::yes);
  Form form;
  std::optional<OffscreenHost> host(std::in_place, 400, 300, 1.0f, rasterize);
  ImGuiTestEngine* engine = ImGuiTestEngine_CreateContext();
  ImGuiTestEngineIO& io = ImGuiTestEngine_GetIO(engine);
  io.ConfigRunSpeed = ImGuiTestRunSpeed_Fast;
  io.ConfigNoThrottle = true;
  io.ConfigLogToTTY = false;
  ImGuiTest* test = ImGuiTestEngine_RegisterTest(engine, "form", "fill in");
  test->TestFunc = [](ImGuiTestContext* context) {
    context->SetRef("Form");
    context->ItemInput("name");
    context->KeyCharsReplaceEnter("Ada");
    context->ItemClick("Send");
  };
  ImGuiTestEngine_Start(engine, ImGui::GetCurrentContext());
  ImGuiTestEngine_QueueTest(engine, test);
  for (int i = 0; i < 1000 && !ImGuiTestEngine_IsTestQueueEmpty(engine); ++i) {
    host->frame(form);
    ImGuiTestEngine_PostSwap(engine);
  }
  CHECK(test->Output.Status == ImGuiTestStatus_Success);
  CHECK(form.name == "Ada");
  CHECK(form.sent == 1);
  ImGuiTestEngine_Stop(engine);
  host.reset();  // ImGui's context must end before the test engine
  ImGuiTestEngine_DestroyContext(engine);
}
