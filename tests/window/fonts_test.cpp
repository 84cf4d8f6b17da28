// The fonts have glyphs for what people write, from the program's own fonts or, if present, the system's.
#include "ui/fonts.h"

#include <imgui.h>
#include <imgui_rich_md/rich_md.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "app/window/offscreen_host.h"

using namespace headroom;

TEST_CASE("Latin, Greek and Cyrillic are in the program", "[fonts]") {
  OffscreenHost host(100, 100, 1.0f, Rasterize::no);
  ImFont* text = ImGui::GetIO().FontDefault;
  REQUIRE(text != nullptr);
  CHECK(text == RichMd::GetFont(RichMd::MarkdownFontSpec()).font);
  for (const ImWchar c : {0x41, 0xDF, 0x3A9, 0x416, 0x20AC, 0x2026}) {
    INFO(std::hex << c);
    CHECK(text->IsGlyphInFont(c));
  }
  ImFont* code = RichMd::GetCodeFont().font;
  CHECK(code != text);
  CHECK(code->IsGlyphInFont('{'));
}

TEST_CASE("arrows, blocks, Cyrillic in code and emoji come from the system's fonts", "[fonts]") {
  if (!std::filesystem::exists("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")) {
    WARN("skipped: DejaVu is not installed (fonts-dejavu-core)");
    return;
  }
  OffscreenHost host(100, 100, 1.0f, Rasterize::no);
  for (const bool bold : {false, true}) {
    ImFont* text = RichMd::GetFont(RichMd::MarkdownFontSpec(false, bold)).font;
    for (const ImWchar c : {0x2192, 0x2588, 0x2211, 0x1F600}) {
      INFO(std::hex << c);
      CHECK(text->IsGlyphInFont(c));
    }
  }
  CHECK(RichMd::GetCodeFont().font->IsGlyphInFont(0x416));
}
