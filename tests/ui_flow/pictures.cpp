// See pictures.h.
#include "tests/ui_flow/pictures.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "engine/base/error.h"

namespace headroom::test {

std::string why_no_pictures() {
  static const std::string why = [] {
    try {
      OffscreenHost(16, 16, 1);
      return std::string();
    } catch (const Error& error) {
      return std::string(error.what());
    }
  }();
  return why;
}

void check_texts(Stage& stage, const std::string& what) {
  INFO(what);
  for (const std::string& fault : faults_of(stage.texts())) FAIL_CHECK(fault);
  CHECK_FALSE(stage.texts().empty());
}

void keep_picture(const Stage& stage, OffscreenHost& host, const std::string& name) {
  const char* folder = std::getenv("HEADROOM_PICTURES");
  if (folder == nullptr || *folder == '\0') return;
  std::filesystem::create_directories(folder);
  write_png(std::string(folder) + "/" + name + (stage.state.dark ? "-dark" : "-light") + "-" +
                std::to_string(host.width()) + ".png",
            host.width(), host.height(), host.read_rgba());
}

std::vector<uint8_t> take_picture(Stage& stage, const std::string& name) {
  stage.frames(n_settling_frames);
  check_texts(stage, name + (stage.state.dark ? ", dark, " : ", light, ") + std::to_string(stage.host().width()));
  keep_picture(stage, stage.host(), name);
  std::vector<uint8_t> rgba = stage.host().read_rgba();
  std::set<uint32_t> colors;
  for (size_t i = 0; i + 3 < rgba.size(); i += 4)
    colors.insert(static_cast<uint32_t>(rgba[i]) << 16 | static_cast<uint32_t>(rgba[i + 1]) << 8 | rgba[i + 2]);
  INFO(name);
  CHECK(colors.size() > 20);  // letters have edges
  return rgba;
}

}  // namespace headroom::test
