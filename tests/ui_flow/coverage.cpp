// Collects the shown and the used items and keys, and reports the difference.
#include "tests/ui_flow/coverage.h"

#include "tests/ui_flow/watch.h"
#include "ui/menu_bar.h"

namespace headroom::test {
namespace {

std::string key_name(const Shortcut& shortcut, bool is_other_chord) {
  return std::string("key ") + shortcut.id + (is_other_chord ? " (the other)" : "");
}

}  // namespace

std::string id_part(const std::string& label) {
  const size_t begin = label.find("###");
  return begin == std::string::npos ? label : label.substr(begin + 3);
}

Coverage& Coverage::of_all_tests() {
  static Coverage it;
  return it;
}

Coverage::Coverage() {
  watch().on_item = [this](const SeenItem& item, const ImGuiWindow& window) {
    // A part of another item, which reports its own label afterwards.
    if (item.label.empty()) return;
    const std::string panel = panel_of(window);
    // Skip the arrows that a tab bar draws if it is too narrow.
    if (panel == "tabs" && ImGui::FindWindowByName(item.label.c_str()) == nullptr) return;
    const std::string name = panel + " " + id_part(item.label);
    in_frame_[item.id] = {name, item.takes_text};
    shown_.insert(name);
  };
}

void Coverage::use(ImGuiID id) {
  const auto found = in_frame_.find(id);
  if (found != in_frame_.end()) used_.insert(found->second.name);
}

void Coverage::frame_ended() {
  const ImGuiContext& g = *ImGui::GetCurrentContext();
  // Some items act when a button goes down, some when it goes up.
  for (const ImGuiMouseButton button : {ImGuiMouseButton_Left, ImGuiMouseButton_Right})
    if ((ImGui::IsMouseClicked(button) || ImGui::IsMouseReleased(button)) && !g.HoveredIdIsDisabled) use(g.HoveredId);
  if (g.NavActivateId != 0) use(g.NavActivateId);
  // A field is used once its text has changed, not when it has the keyboard.
  const auto active = in_frame_.find(g.ActiveId);
  if (active != in_frame_.end() && (!active->second.takes_text || g.ActiveIdHasBeenEditedThisFrame)) use(g.ActiveId);
  in_frame_.clear();
}

void Coverage::key_pressed(Action action, bool is_other_chord) {
  keys_.insert(key_name(shortcut_of(action), is_other_chord));
}

std::vector<std::string> Coverage::report() const {
  std::set<std::string> all = shown_;
  for (const Menu& menu : menus())
    for (const MenuEntry& entry : menu.entries) all.insert(std::string("menu ") + shortcut_of(entry.action).id);
  for (const Shortcut& shortcut : shortcuts()) {
    all.insert(key_name(shortcut, false));
    if (shortcut.other_chord != ImGuiKey_None) all.insert(key_name(shortcut, true));
  }
  std::vector<std::string> lines;
  for (const std::string& name : all)
    lines.push_back((used_.contains(name) || keys_.contains(name) ? "used   " : "NEVER  ") + name);
  return lines;
}

std::vector<std::string> Coverage::never_used() const {
  std::vector<std::string> lines;
  for (const std::string& line : report())
    if (line.starts_with("NEVER")) lines.push_back(line);
  return lines;
}

}  // namespace headroom::test
