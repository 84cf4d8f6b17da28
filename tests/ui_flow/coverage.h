// Compares everything that can be used in the window with what this program's tests used: shown items, menu entries,
// keys. An item is a panel and the id part of a label, so the same button of every chat, head or message is one item.
// What Dear ImGui adds without a label (scroll bars, grips, splitters, tab crosses) does not count.
#pragma once

#include <imgui.h>
#include <imgui_internal.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "ui/shortcuts.h"

namespace headroom::test {

class Coverage {
 public:
  /// The program's only instance; watches from the first call on.
  static Coverage& of_all_tests();

  /// Call it after each frame; records which of its items the mouse or keys used.
  void frame_ended();
  void key_pressed(Action action, bool is_other_chord);

  /// One line per item: "used" or "NEVER", then the item.
  std::vector<std::string> report() const;
  std::vector<std::string> never_used() const;
  bool saw(const std::string& item) const { return shown_.contains(item); }

 private:
  Coverage();
  void use(ImGuiID id);

  struct Item {
    std::string name;
    bool takes_text = false;
  };
  std::map<ImGuiID, Item> in_frame_;
  std::set<std::string> shown_, used_, keys_;
};

/// The part behind ###: "Open model…###choose_model" gives "choose_model"; a label without ### is returned whole.
std::string id_part(const std::string& label);

}  // namespace headroom::test
