// A client in the off-screen hosts, with and without a picture: equal frames give equal bytes, Markdown is drawn, bytes
// of its text can be tinted and found again.
#include <imgui.h>
#include <imgui_rich_md/rich_md.h>
#include <implot.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cfloat>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <set>

#include "app/window/offscreen_host.h"
#include "engine/base/error.h"
#include "ui/theme.h"

using namespace headroom;

namespace {

/// A client that draws with a test's function.
class Scene : public WindowClient {
 public:
  explicit Scene(std::function<void()> draw) : draw_(std::move(draw)) {}
  Redraw poll() override {
    ++polls;
    return Redraw::none;
  }
  void draw_frame() override { draw_(); }
  void files_dropped(const std::vector<std::string>&) override {}
  void closing() override {}
  bool wants_to_quit() const override { return false; }
  std::string title() const override { return "scene"; }
  int polls = 0;

 private:
  std::function<void()> draw_;
};

void begin_full_window() {
  ImGui::SetNextWindowPos(ImVec2(0, 0));
  ImGui::SetNextWindowSize(ImGui::GetIO().DisplaySize);
  ImGui::Begin("all", nullptr, ImGuiWindowFlags_NoDecoration);
}

/// Widgets, a plot, text in four scripts, Markdown with code.
void draw_everything() {
  apply_theme(true, 1.0f);
  begin_full_window();
  ImGui::Button("Send");
  ImGui::TextUnformatted("Größe, Ελληνικά, кириллица");
  RichMd::RenderRaw("# A title\n\nSome **bold** text and `code`.\n\n```python\ndef f(x):\n    return x + 1\n```\n");
  if (ImPlot::BeginPlot("bytes", ImVec2(-1, 120))) {
    const float values[] = {1, 3, 2, 5};
    ImPlot::PlotLine("live", values, 4);
    ImPlot::EndPlot();
  }
  ImGui::End();
}

std::vector<uint8_t> picture_of(const std::function<void()>& draw, int width, int height, float scale, int frames) {
  OffscreenHost host(width, height, scale);
  Scene scene(draw);
  for (int i = 0; i < frames; ++i) host.frame(scene);
  return host.read_rgba();
}

size_t n_colors(const std::vector<uint8_t>& rgba) {
  std::set<uint32_t> colors;
  for (size_t i = 0; i < rgba.size(); i += 4)
    colors.insert(uint32_t{rgba[i]} << 16 | uint32_t{rgba[i + 1]} << 8 | rgba[i + 2]);
  return colors.size();
}

ImU32 pixel(const std::vector<uint8_t>& rgba, int width, int x, int y) {
  const size_t i = 4 * (static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x));
  return IM_COL32(rgba[i], rgba[i + 1], rgba[i + 2], rgba[i + 3]);
}

}  // namespace

TEST_CASE("the same frames give the same picture, byte for byte", "[offscreen]") {
  const float scale = GENERATE(1.0f, 2.0f);
  const auto once = picture_of(draw_everything, 400, 360, scale, 3);
  const auto again = picture_of(draw_everything, 400, 360, scale, 3);
  CHECK(once.size() == size_t{4} * 400 * 360);
  CHECK((once == again));
  CHECK(n_colors(once) > 50);  // edges of letters are smooth
}

TEST_CASE("an empty frame is the ground of the theme, opaque", "[offscreen]") {
  const bool dark = GENERATE(true, false);
  const auto picture = picture_of([&] { apply_theme(dark, 1.0f); }, 16, 8, 1.0f, 2);
  OffscreenHost host(16, 8, 1.0f, Rasterize::no);  // for its style
  apply_theme(dark, 1.0f);
  const ImU32 ground = ImGui::GetColorU32(ImGuiCol_WindowBg);
  CHECK(pixel(picture, 16, 3, 5) == ground);
  CHECK(n_colors(picture) == 1);
}

TEST_CASE("frames are built without a picture, and without Vulkan", "[offscreen]") {
  OffscreenHost host(800, 600, 1.0f, Rasterize::no);
  Scene scene(draw_everything);
  for (int i = 0; i < 5; ++i) host.frame(scene);
  CHECK(scene.polls == 5);
  CHECK(ImGui::GetDrawData()->TotalVtxCount > 500);
  CHECK(host.device_name().empty());
}

TEST_CASE("zoom and the display's scale make text larger", "[offscreen]") {
  const auto line_height = [](float scale, float zoom) {
    OffscreenHost host(400, 300, scale, Rasterize::no);
    float height = 0;
    Scene scene([&] {
      apply_theme(true, zoom);
      height = ImGui::GetFontSize();
    });
    for (int i = 0; i < 3; ++i) host.frame(scene);
    return height;
  };
  CHECK(line_height(1.0f, 1.0f) == Approx(base_font_size));
  CHECK(line_height(2.0f, 1.0f) == Approx(2 * base_font_size));
  CHECK(line_height(1.0f, 1.5f) == Approx(1.5 * base_font_size));
  CHECK(line_height(2.0f, 0.5f) == Approx(base_font_size));
}

TEST_CASE("a picture larger than the device allows, or empty, is refused", "[offscreen]") {
  CHECK_THROWS_WITH(OffscreenHost(1 << 20, 10, 1.0f), Catch::Contains("found a picture of 1048576x10 pixels"));
  CHECK_THROWS_AS(OffscreenHost(0, 10, 1.0f), Error);
}

TEST_CASE("bytes of Markdown are tinted where they are drawn, and found under the pointer", "[offscreen][markdown]") {
  const std::string text = "plain **bold** words\n\n```c\nint x = 1;\n```\n";
  const size_t bold = text.find("bold"), code = text.find("x = 1");
  const ImU32 red = IM_COL32(200, 0, 0, 255), green = IM_COL32(0, 160, 0, 255);
  std::vector<RichMd::DrawnText> drawn;
  std::optional<size_t> under, outside;
  OffscreenHost host(400, 200, 1.0f);
  Scene scene([&] {
    apply_theme(true, 1.0f);
    begin_full_window();
    RichMd::SetNextTextTints({{bold, bold + 4, red}, {code, code + 1, green}});
    RichMd::RenderRaw(text);
    drawn = RichMd::LastRenderText();
    for (const RichMd::DrawnText& piece : drawn) {
      if (piece.begin <= bold && bold < piece.end) {
        const float width = piece.font->CalcTextSizeA(piece.fontSize, FLT_MAX, 0, "bo").x;
        under = RichMd::LastRenderByteAt(ImVec2(piece.min.x + width + 2, piece.min.y + 4));
      }
    }
    outside = RichMd::LastRenderByteAt(ImVec2(390, 190));
    RichMd::RenderRaw("not tinted");
    ImGui::End();
  });
  for (int i = 0; i < 4; ++i) host.frame(scene);

  REQUIRE(!drawn.empty());
  const auto piece = std::find_if(drawn.begin(), drawn.end(),
                                  [&](const RichMd::DrawnText& d) { return d.begin <= bold && bold < d.end; });
  REQUIRE(piece != drawn.end());
  CHECK(text.substr(piece->begin, piece->end - piece->begin) == "bold");
  CHECK(under == bold + 2);  // the l
  CHECK(!outside.has_value());

  const auto picture = host.read_rgba();
  CHECK(pixel(picture, 400, static_cast<int>(piece->min.x) + 1, static_cast<int>(piece->min.y) + 1) == red);
  size_t n_red = 0, n_green = 0;
  for (int y = 0; y < 200; ++y) {
    for (int x = 0; x < 400; ++x) {
      n_red += pixel(picture, 400, x, y) == red;
      n_green += pixel(picture, 400, x, y) == green;
    }
  }
  const float area = (piece->max.x - piece->min.x) * (piece->max.y - piece->min.y);
  CHECK(static_cast<float>(n_red) > area / 4);
  CHECK(static_cast<float>(n_red) <= area * 1.1f);
  CHECK(n_green > 20);  // in the code block
}

TEST_CASE("a picture becomes a PNG file, or a sentence", "[offscreen][png]") {
  std::string name = (std::filesystem::temp_directory_path() / "headroom-picture-XXXXXX").string();
  const int descriptor = mkstemp(name.data());
  REQUIRE(descriptor >= 0);
  close(descriptor);
  write_png(name, 2, 1, {255, 0, 0, 255, 0, 0, 255, 255});
  std::ifstream file(name, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  std::filesystem::remove(name);
  CHECK(bytes.substr(1, 3) == "PNG");
  CHECK_THROWS_WITH(write_png("/nonexistent/a.png", 1, 1, {0, 0, 0, 255}), Catch::Contains("/nonexistent/a.png"));
}
