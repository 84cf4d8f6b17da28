// Records what Dear ImGui really draws: every item with a label, every text with its place. The linker replaces
// ImGuiTestEngineHook_ItemInfo, ImGui::BeginCombo and ImDrawList::AddText with wrappers (--wrap, in
// tests/CMakeLists.txt), so that no panel knows about it.
#pragma once

#include <imgui.h>
#include <imgui_internal.h>

#include <functional>
#include <string>
#include <vector>

namespace headroom::test {

struct SeenItem {
  ImGuiID id = 0;
  std::string label;
  bool takes_text = false;
};

struct SeenText {
  std::string text;  // as passed to AddText; for a cut text, the part that is shown
  ImRect rect;       // the area it covers if nothing clips it
  ImRect clip;       // the visible part of the window at this moment
  const ImGuiWindow* window = nullptr;
};

struct Watch {
  std::function<void(const SeenItem&, const ImGuiWindow&)> on_item;  // while a test engine runs
  bool keeps_texts = false;
  std::vector<SeenText> texts;  // of the current frame
};
Watch& watch();

/// Name of the panel that a window belongs to: "heads" of "Heads###heads/###map_1A2B3C4D"; "menu", "list" and "popup"
/// for what opens over the panels, "tabs" for the bar over docked windows.
std::string panel_of(const ImGuiWindow& window);

/// Texts of one panel as lines from the top; texts beside each other are joined by " | ".
std::vector<std::string> lines_of(const std::vector<SeenText>& texts, const std::string& panel);

/// Faults of a frame, in sentences: text that its window cuts off, text over other text.
std::vector<std::string> faults_of(const std::vector<SeenText>& texts);

}  // namespace headroom::test
