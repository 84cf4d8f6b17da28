// Font files ─► ImGui's font atlas. System files are mapped once for all fonts and contexts.
#include "ui/fonts.h"

#include <imgui_rich_md/rich_md.h>

#include <array>
#include <cstring>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/platform/platform.h"

namespace headroom {
namespace {

/// Paths of one font in Debian, Fedora and Arch; the first usable file is loaded.
using Places = std::vector<const char*>;
const std::array<Places, 3> everywhere = {{
    {"/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
     "/usr/share/fonts/TTF/DejaVuSans.ttf"},
    {"/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
     "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc", "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
     "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf", "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
     "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc"},
    // Only outline fonts work here; a font of coloured bitmaps (Noto Color Emoji) has no outlines.
    {"/usr/share/fonts/truetype/noto/NotoEmoji-Regular.ttf",
     "/usr/share/fonts/google-noto-emoji-fonts/NotoEmoji-Regular.ttf", "/usr/share/fonts/noto/NotoEmoji-Regular.ttf",
     "/usr/share/fonts/truetype/ancient-scripts/Symbola_hint.ttf", "/usr/share/fonts/gdouros-symbola/Symbola.ttf"},
}};
const Places dejavu_mono = {"/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf",
                            "/usr/share/fonts/dejavu-sans-mono-fonts/DejaVuSansMono.ttf",
                            "/usr/share/fonts/TTF/DejaVuSansMono.ttf"};

uint32_t big_endian(std::span<const uint8_t> bytes, size_t at, size_t width) {
  uint32_t value = 0;
  for (size_t i = 0; i < width; ++i) value = value << 8 | bytes[at + i];
  return value;
}

/// Whether all tables lie inside the file and are those of an outline font (OpenType 1.9, "Font file"). ImGui asserts
/// on anything else.
bool has_outlines(std::span<const uint8_t> bytes) {
  if (bytes.size() < 100) return false;
  size_t start = 0;
  if (std::memcmp(bytes.data(), "ttcf", 4) == 0) start = big_endian(bytes, 12, 4);
  if (start + 12 > bytes.size()) return false;
  const uint32_t n_tables = big_endian(bytes, start + 4, 2);
  if (start + 12 + size_t{16} * n_tables > bytes.size()) return false;
  int needed = 0;
  bool outlines = false;
  for (uint32_t i = 0; i < n_tables; ++i) {
    const size_t entry = start + 12 + size_t{16} * i;
    const std::string_view tag(reinterpret_cast<const char*>(&bytes[entry]), 4);
    if (size_t{big_endian(bytes, entry + 8, 4)} + big_endian(bytes, entry + 12, 4) > bytes.size()) return false;
    needed += tag == "cmap" || tag == "head" || tag == "hhea" || tag == "hmtx" || tag == "maxp";
    outlines = outlines || tag == "glyf" || tag == "CFF ";
  }
  return needed == 5 && outlines;
}

/// The bytes of the first usable font; they live as long as the program.
std::span<const uint8_t> system_font(const Places& places) {
  static std::map<const Places*, std::vector<MappedFile>> mapped;  // one file each, or none
  const auto [entry, is_new] = mapped.try_emplace(&places);
  std::vector<MappedFile>& found = entry->second;
  const auto bytes_of = [](const MappedFile& file) {
    return std::span(reinterpret_cast<const uint8_t*>(file.bytes().data()), file.bytes().size());
  };
  for (size_t i = 0; is_new && i < places.size() && found.empty(); ++i) {
    try {
      MappedFile file = MappedFile::open(places[i]);
      if (has_outlines(bytes_of(file))) found.push_back(std::move(file));
    } catch (const Error&) {  // not there: try the next path
    }
  }
  return found.empty() ? std::span<const uint8_t>() : bytes_of(found.front());
}

void put_behind(ImFont* font, std::span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  ImFontConfig config;
  config.FontDataOwnedByAtlas = false;
  config.MergeMode = true;
  config.DstFont = font;
  void* data = const_cast<uint8_t*>(bytes.data());  // ImGui only reads it
  ImGui::GetIO().Fonts->AddFontFromMemoryTTF(data, static_cast<int>(bytes.size()), 0.0f, &config);
}

void put_system_fonts_behind(ImFont* font, bool monospaced) {
  if (monospaced) put_behind(font, system_font(dejavu_mono));
  for (const Places& places : everywhere) put_behind(font, system_font(places));
}

}  // namespace

Fonts add_fonts() {
  const auto markdown = [](bool italic, bool bold) {
    return RichMd::GetFont(RichMd::MarkdownFontSpec(italic, bold)).font;
  };
  const Fonts fonts = {markdown(false, false), markdown(false, true), RichMd::GetCodeFont().font};
  for (ImFont* font : {fonts.text, fonts.bold, markdown(true, false), markdown(true, true)}) {
    put_system_fonts_behind(font, false);
  }
  put_system_fonts_behind(fonts.monospaced, true);
  ImGui::GetIO().FontDefault = fonts.text;
  return fonts;
}

}  // namespace headroom
