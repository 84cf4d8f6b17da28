// What a person has set, to a file and back; a file that is damaged.
#include "app/desktop/settings.h"

#include <fstream>
#include <iterator>

#include "tests/desktop/desk.h"

using namespace headroom;
using namespace headroom::test;

TEST_CASE("settings come back as they were saved") {
  Folder folder;
  const std::string path = folder / "deeper/settings.json";
  UiState state;
  WindowSettings window{.width = 1000, .height = 700};
  state.dark = false;
  state.zoom = 1.5f;
  state.show_memory = false;
  REQUIRE(save_settings(path, state, window).empty());
  UiState other;
  WindowSettings other_window;
  CHECK(load_settings(path, other, other_window).empty());
  CHECK_FALSE(other.dark);
  CHECK(other.zoom == 1.5f);
  CHECK_FALSE(other.show_memory);
  CHECK(other.show_heads);
  CHECK(other_window.width == 1000);
  CHECK(other_window.height == 700);
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_CASE("no file is the first start") {
  Folder folder;
  UiState state;
  WindowSettings window;
  CHECK(load_settings(folder / "settings.json", state, window).empty());
  CHECK(state.dark);
}

TEST_CASE("a damaged file gives the defaults, says so, and is kept") {
  Folder folder;
  const std::string path = folder / "settings.json";
  const std::string text = GENERATE(as<std::string>(), "", "{\"zoom\": ", "[1, 2]", "{\"zoom\": \"big\"}", "\xff\xfe",
                                    "{\"dark\": false, \"width\": \"wide\"}", "null", "7");
  std::ofstream(path, std::ios::binary) << text;
  UiState state;
  WindowSettings window;
  CHECK(load_settings(path, state, window).find("damaged") != std::string::npos);
  CHECK(state.dark);
  CHECK(state.zoom == 1.0f);
  CHECK(window.width == 1280);
  std::ifstream kept(path + ".damaged", std::ios::binary);
  CHECK(std::string(std::istreambuf_iterator<char>(kept), {}) == text);
}

TEST_CASE("values out of range are brought into it; unknown ones are passed over") {
  Folder folder;
  const std::string path = folder / "settings.json";
  std::ofstream(path) << R"({"zoom": 1e9, "width": -5, "height": 1e300, "colour": "blue"})";
  UiState state;
  WindowSettings window;
  const std::string sentence = load_settings(path, state, window);
  INFO(sentence);
  CHECK(state.zoom >= 0.5f);
  CHECK(state.zoom <= 3.0f);
  CHECK(window.width >= 320);
  CHECK(window.height <= 16384);
}

TEST_CASE("a folder that cannot be written to is a sentence") {
  Folder folder;
  std::ofstream(folder / "file") << "in the way";
  CHECK(save_settings(folder / "file/settings.json", UiState(), WindowSettings()).find("could not be written") !=
        std::string::npos);
}
