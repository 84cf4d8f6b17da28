// Everything that can be used in the window against what the tests of this program used: items that were shown, menu
// entries, keys. An item is its panel and the id part of its label, so that the same button of every chat, head or
// message is one. What Dear ImGui adds without a label (scroll bars, grips, splitters, crosses of tabs) is not counted.
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
  /// The one of this program; watches from the first call on.
  static Coverage& of_all_tests();

  /// After a frame: which of its items a mouse or keys used.
  void frame_ended();
  void key_pressed(Action action, bool is_other_chord);

  /// One line each: "used" or "NEVER", what it is.
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

/// "Open model…###choose_model" is choose_model; a label without ### is itself.
std::string id_part(const std::string& label);

}  // namespace headroom::test
