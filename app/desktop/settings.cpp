// Reads and writes settings.json. See settings.h.
#include "app/desktop/settings.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/platform/platform.h"

namespace headroom {
namespace {

using Json = nlohmann::ordered_json;

template <typename Value>
void take(const Json& object, const char* key, Value& to) {
  const auto found = object.find(key);
  if (found != object.end()) to = found->get<Value>();
}

}  // namespace

std::string load_settings(const std::string& path, UiState& state, WindowSettings& window) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return "";  // the first start
  std::stringstream text;
  text << file.rdbuf();
  UiState new_state = state;
  WindowSettings new_window = window;
  try {
    const Json object = Json::parse(text.str());
    if (!object.is_object()) throw std::runtime_error("not an object");
    take(object, "dark", new_state.dark);
    take(object, "zoom", new_state.zoom);
    take(object, "show_chats", new_state.show_chats);
    take(object, "show_heads", new_state.show_heads);
    take(object, "show_memory", new_state.show_memory);
    take(object, "show_policy", new_state.show_policy);
    take(object, "width", new_window.width);
    take(object, "height", new_window.height);
  } catch (const std::exception&) {
    std::error_code error;
    std::filesystem::rename(path, path + ".damaged", error);
    return "the settings in " + path +
           " could not be read; the defaults are used, the file was renamed to end in .damaged";
  }
  new_state.zoom = std::clamp(new_state.zoom, 0.5f, 3.0f);
  new_window.width = std::clamp(new_window.width, 320, 16384);
  new_window.height = std::clamp(new_window.height, 240, 16384);
  state = std::move(new_state);
  window = new_window;
  return "";
}

std::string save_settings(const std::string& path, const UiState& state, const WindowSettings& window) {
  const Json object = {{"dark", state.dark},
                       {"zoom", state.zoom},
                       {"show_chats", state.show_chats},
                       {"show_heads", state.show_heads},
                       {"show_memory", state.show_memory},
                       {"show_policy", state.show_policy},
                       {"width", window.width},
                       {"height", window.height}};
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  // Whole or not at all: a crash between the two steps leaves the old file.
  const std::string next = path + ".new";
  {
    std::ofstream file(next, std::ios::binary | std::ios::trunc);
    file << object.dump(2) << "\n";
    file.close();
    if (!file) return "the settings could not be written to " + next;
  }
  std::filesystem::rename(next, path, error);
  return error ? "the settings could not be written to " + path + ": " + error.message() : "";
}

}  // namespace headroom
