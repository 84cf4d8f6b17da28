// The user's settings are written to a file and read back; a damaged file is handled.
#include "app/desktop/settings.h"

#include <sys/stat.h>

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

TEST_CASE("what was being typed comes back, each draft with its chat, and is for nobody else to read") {
  Folder folder;
  const std::string path = folder / "settings.json";
  UiState state;
  state.draft = "half a \"sentence\"\n\xff";
  state.draft_chat = 7;
  state.drafts = {{3, "of three"}, {7, "older"}, {9, ""}};
  REQUIRE(save_settings(path, state, WindowSettings()).empty());
  CHECK((std::filesystem::status(path).permissions() & std::filesystem::perms(0077)) == std::filesystem::perms::none);
  UiState other;
  WindowSettings window;
  CHECK(load_settings(path, other, window).empty());
  CHECK(other.draft.empty());
  REQUIRE(other.drafts.size() == 2);
  CHECK(other.drafts[3] == "of three");
  CHECK(other.drafts[7].starts_with("half a \"sentence\"\n"));
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
  CHECK(window.height <= 4320);
}

TEST_CASE("a window is never opened larger than the largest monitor") {
  Folder folder;
  const std::string path = folder / "settings.json";
  std::ofstream(path) << R"({"width": 16384, "height": 16384})";
  UiState state;
  WindowSettings window;
  CHECK(load_settings(path, state, window).empty());
  CHECK(window.width == 7680);
  CHECK(window.height == 4320);
}

TEST_CASE("what is no file gives the defaults at once, says what it is, and stays") {
  namespace fs = std::filesystem;
  Folder folder;
  const std::string path = folder / "settings.json";
  std::string kind;
  SECTION("a named pipe") {
    kind = "a named pipe";
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  }
  SECTION("a device") {
    kind = "a device";
    fs::create_symlink("/dev/zero", path);
  }
  SECTION("a folder") {
    kind = "a folder";
    fs::create_directory(path);
  }
  SECTION("a file of any size") {
    kind = "1099511627776 bytes";
    std::ofstream(path) << "{";
    fs::resize_file(path, uint64_t{1} << 40);
  }
  const auto type = fs::symlink_status(path).type();
  UiState state;
  WindowSettings window;
  CHECK(load_settings(path, state, window).find(kind) != std::string::npos);
  CHECK(window.width == 1280);
  if (kind != "1099511627776 bytes") CHECK(save_settings(path, state, window).find(kind) != std::string::npos);
  CHECK(fs::symlink_status(path).type() == type);
}

TEST_CASE("a pipe where the new settings are written first does not stop them") {
  Folder folder;
  const std::string path = folder / "settings.json";
  REQUIRE(mkfifo((path + ".new").c_str(), 0600) == 0);
  CHECK(save_settings(path, UiState(), WindowSettings()).empty());
  CHECK(std::filesystem::is_regular_file(path));
}

TEST_CASE("settings behind a link are written behind it") {
  Folder folder;
  const std::string path = folder / "settings.json";
  std::ofstream(folder / "dotfile") << "{}";
  std::filesystem::create_symlink(folder / "dotfile", path);
  CHECK(save_settings(path, UiState(), WindowSettings()).empty());
  CHECK(std::filesystem::is_symlink(path));
  CHECK(std::filesystem::file_size(folder / "dotfile") > 10);
}

TEST_CASE("a folder that cannot be written to is a sentence") {
  Folder folder;
  std::ofstream(folder / "file") << "in the way";
  CHECK(save_settings(folder / "file/settings.json", UiState(), WindowSettings()).find("could not be written") !=
        std::string::npos);
}
