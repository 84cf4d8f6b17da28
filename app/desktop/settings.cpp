// Reads and writes settings.json. See settings.h.
#include "app/desktop/settings.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/base/error.h"
#include "engine/base/platform/private_file.h"
#include "engine/base/platform/regular_file.h"
#include "ui/panels.h"

namespace headroom {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t max_settings_bytes = size_t{64} << 20;
constexpr size_t max_draft_bytes = size_t{4} << 20;
// The largest monitor on sale; the window is fitted to the actual monitor when it opens.
constexpr int max_width = 7680, max_height = 4320;

template <typename Value>
void take(const Json& object, const char* key, Value& to) {
  const auto found = object.find(key);
  if (found != object.end()) to = found->get<Value>();
}

}  // namespace

std::string load_settings(const std::string& path, UiState& state, WindowSettings& window) {
  std::optional<std::string> text;
  try {
    text = read_regular_file(path, max_settings_bytes);
  } catch (const Error& error) {
    return std::string("the settings could not be read, the defaults are used: ") + error.what();
  }
  if (!text) return "";  // the first start
  UiState new_state = state;
  WindowSettings new_window = window;
  try {
    const Json object = Json::parse(*text);
    if (!object.is_object()) throw std::runtime_error("not an object");
    take(object, "dark", new_state.dark);
    take(object, "zoom", new_state.zoom);
    for (const Panel& panel : side_panels) take(object, panel.setting, new_state.*panel.is_shown);
    take(object, "width", new_window.width);
    take(object, "height", new_window.height);
    if (const auto drafts = object.find("drafts"); drafts != object.end())
      for (const auto& [chat, draft] : drafts->items()) new_state.drafts[std::stoll(chat)] = draft.get<std::string>();
  } catch (const std::exception&) {
    std::error_code error;
    std::filesystem::rename(path, path + ".damaged", error);
    return "the settings in " + path +
           " could not be read; the defaults are used, the file was renamed to end in .damaged";
  }
  new_state.zoom = std::clamp(new_state.zoom, 0.5f, 3.0f);
  new_window.width = std::clamp(new_window.width, 320, max_width);
  new_window.height = std::clamp(new_window.height, 240, max_height);
  state = std::move(new_state);
  window = new_window;
  return "";
}

std::string save_settings(const std::string& path, const UiState& state, const WindowSettings& window) {
  Json drafts = Json::object();
  const auto add_draft = [&](int64_t chat, const std::string& draft) {
    if (!draft.empty() && draft.size() <= max_draft_bytes) drafts[std::to_string(chat)] = draft;
  };
  for (const auto& [chat, draft] : state.drafts)
    if (chat != state.draft_chat) add_draft(chat, draft);
  add_draft(state.draft_chat, state.draft);
  Json object = {{"dark", state.dark}, {"zoom", state.zoom}};
  for (const Panel& panel : side_panels) object[panel.setting] = state.*panel.is_shown;
  object["width"] = window.width;
  object["height"] = window.height;
  object["drafts"] = std::move(drafts);
  namespace fs = std::filesystem;
  try {
    make_private_folders(fs::path(path).parent_path().string());
    regular_file_exists(path);  // throws for a pipe or a device, which must not be replaced
    // Resolves links, so that a link stays a link when the file behind it is replaced.
    std::error_code error;
    const fs::path target = fs::weakly_canonical(path, error);
    write_private_file(error ? path : target.string(),
                       object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    return "";
  } catch (const Error& error) {
    return std::string("the settings could not be written: ") + error.what();
  }
}

}  // namespace headroom
