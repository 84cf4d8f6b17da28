// Wraps three functions of Dear ImGui, and evaluates the items and texts that they saw.
#include "tests/ui_flow/watch.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using headroom::test::SeenText;
using headroom::test::watch;

namespace {

void see_text(ImDrawList* list, ImFont* font, float size, ImVec2 at, const char* begin, const char* end, float wrap) {
  if (!watch().keeps_texts || begin == nullptr) return;
  ImGuiContext& g = *ImGui::GetCurrentContext();
  if (end == nullptr) end = begin + std::strlen(begin);
  if (begin == end) return;
  if (font == nullptr) font = g.Font;
  if (size == 0) size = g.FontSize;
  const ImVec2 extent = font->CalcTextSizeA(size, FLT_MAX, wrap, begin, end);
  const ImVec4 clip = list->_CmdHeader.ClipRect;
  watch().texts.push_back(
      {std::string(begin, end), ImRect(at, {at.x + extent.x, at.y + extent.y}), ImRect(clip), g.CurrentWindow});
}

}  // namespace

extern "C" {
// Mangled names of ImGuiTestEngineHook_ItemInfo(ImGuiContext*, ImGuiID, const char*, int), ImGui::BeginCombo, and
// ImDrawList::AddText in its two forms.
void __real__Z28ImGuiTestEngineHook_ItemInfoP12ImGuiContextjPKci(ImGuiContext*, ImGuiID, const char*, int);
void __wrap__Z28ImGuiTestEngineHook_ItemInfoP12ImGuiContextjPKci(ImGuiContext* context, ImGuiID id, const char* label,
                                                                 int flags) {
  const ImGuiWindow* window = context->CurrentWindow;
  // The test engine also counts windows and the headers of unsortable tables as items; a user cannot use those.
  const bool is_head =
      context->CurrentTable != nullptr && (context->CurrentTable->RowFlags & ImGuiTableRowFlags_Headers) != 0;
  if (window != nullptr && id != window->ID && !is_head && watch().on_item)
    watch().on_item({id, label, (flags & ImGuiItemStatusFlags_Inputable) != 0}, *window);
  __real__Z28ImGuiTestEngineHook_ItemInfoP12ImGuiContextjPKci(context, id, label, flags);
}

// ImGui does not report a combo's label to the test engine, so report it here.
bool __real__ZN5ImGui10BeginComboEPKcS1_i(const char*, const char*, int);
bool __wrap__ZN5ImGui10BeginComboEPKcS1_i(const char* label, const char* preview, int flags) {
  ImGuiWindow* window = ImGui::GetCurrentWindow();
  if (watch().on_item) watch().on_item({window->GetID(label), label}, *window);
  return __real__ZN5ImGui10BeginComboEPKcS1_i(label, preview, flags);
}

void __real__ZN10ImDrawList7AddTextERK6ImVec2jPKcS4_(ImDrawList*, const ImVec2&, ImU32, const char*, const char*);
void __wrap__ZN10ImDrawList7AddTextERK6ImVec2jPKcS4_(ImDrawList* list, const ImVec2& at, ImU32 color, const char* begin,
                                                     const char* end) {
  see_text(list, nullptr, 0, at, begin, end, 0);
  __real__ZN10ImDrawList7AddTextERK6ImVec2jPKcS4_(list, at, color, begin, end);
}

void __real__ZN10ImDrawList7AddTextEP6ImFontfRK6ImVec2jPKcS6_fPK6ImVec4(ImDrawList*, ImFont*, float, const ImVec2&,
                                                                        ImU32, const char*, const char*, float,
                                                                        const ImVec4*);
void __wrap__ZN10ImDrawList7AddTextEP6ImFontfRK6ImVec2jPKcS6_fPK6ImVec4(ImDrawList* list, ImFont* font, float size,
                                                                        const ImVec2& at, ImU32 color,
                                                                        const char* begin, const char* end, float wrap,
                                                                        const ImVec4* fine_clip) {
  see_text(list, font, size, at, begin, end, wrap);
  if (fine_clip != nullptr && watch().keeps_texts && !watch().texts.empty())
    watch().texts.back().clip.ClipWith(ImRect(*fine_clip));
  __real__ZN10ImDrawList7AddTextEP6ImFontfRK6ImVec2jPKcS6_fPK6ImVec4(list, font, size, at, color, begin, end, wrap,
                                                                     fine_clip);
}
}

namespace headroom::test {

Watch& watch() {
  static Watch it;
  return it;
}

std::string panel_of(const ImGuiWindow& window) {
  std::string name = window.Name;
  if (window.DockNodeAsHost != nullptr || name.starts_with("WindowOverViewport")) return "tabs";
  name = name.substr(0, name.find('/'));
  if (name.find("#Menu_") != std::string::npos) return "menu";
  for (const auto& [begin, panel] : {std::pair{"##Combo", "list"}, std::pair{"##Popup", "popup"},
                                     std::pair{"##MainMenuBar", "menu"}, std::pair{"##Tooltip", "explanation"}})
    if (name.starts_with(begin)) return panel;
  const size_t id = name.find("###");
  return id == std::string::npos ? name : name.substr(id + 3);
}

std::vector<std::string> lines_of(const std::vector<SeenText>& texts, const std::string& panel) {
  std::vector<const SeenText*> sorted;
  for (const SeenText& text : texts)
    if (panel_of(*text.window) == panel && text.clip.Overlaps(text.rect)) sorted.push_back(&text);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const SeenText* a, const SeenText* b) { return a->rect.Min.y < b->rect.Min.y; });
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < sorted.size();) {
    size_t end = begin + 1;
    while (end < sorted.size() && sorted[end]->rect.Min.y - sorted[begin]->rect.Min.y < 3) ++end;
    std::stable_sort(sorted.begin() + static_cast<std::ptrdiff_t>(begin),
                     sorted.begin() + static_cast<std::ptrdiff_t>(end),
                     [](const SeenText* a, const SeenText* b) { return a->rect.Min.x < b->rect.Min.x; });
    std::string line;
    for (size_t i = begin; i < end; ++i) line += (i == begin ? "" : " | ") + sorted[i]->text;
    lines.push_back(line);
    begin = end;
  }
  return lines;
}

std::vector<std::string> faults_of(const std::vector<SeenText>& texts) {
  constexpr float slack = 1.5f;  // pixels: glyphs have empty edges
  std::vector<std::string> faults;
  const auto place = [](const SeenText& text) {
    return "'" + text.text.substr(0, 60) + "' in " + panel_of(*text.window) + " at " +
           std::to_string(static_cast<int>(text.rect.Min.x)) + "," + std::to_string(static_cast<int>(text.rect.Min.y));
  };
  std::vector<const SeenText*> shown;
  for (const SeenText& text : texts) {
    if (text.text.find_first_not_of(" \n") == std::string::npos || !text.clip.Overlaps(text.rect)) continue;
    shown.push_back(&text);
    const ImGuiWindow& window = *text.window;
    bool scrolls_down = false, scrolls_across = false;  // the window or one of its parents
    for (const ImGuiWindow* it = &window; it != nullptr; it = it->ParentWindow) {
      scrolls_down = scrolls_down || it->ScrollbarY;
      scrolls_across = scrolls_across || it->ScrollbarX;
    }
    if (!scrolls_across && (text.rect.Max.x > text.clip.Max.x + slack || text.rect.Min.x < text.clip.Min.x - slack))
      faults.push_back("cut at a side: " + place(text));
    if (!scrolls_down && (text.rect.Max.y > text.clip.Max.y + slack || text.rect.Min.y < text.clip.Min.y - slack))
      faults.push_back("cut above or below: " + place(text));
  }
  for (size_t i = 0; i < shown.size(); ++i) {
    for (size_t j = i + 1; j < shown.size(); ++j) {
      if (shown[i]->window->RootWindow != shown[j]->window->RootWindow) continue;
      ImRect a = shown[i]->rect, b = shown[j]->rect;
      a.ClipWith(shown[i]->clip);
      b.ClipWith(shown[j]->clip);
      // Shrink the boxes, since a line box is higher than its letters.
      a.Expand({-slack, -a.GetHeight() * 0.2f});
      b.Expand({-slack, -b.GetHeight() * 0.2f});
      if (!a.IsInverted() && !b.IsInverted() && a.Overlaps(b) && shown[i]->text != shown[j]->text)
        faults.push_back("over each other: " + place(*shown[i]) + " and " + place(*shown[j]));
    }
  }
  return faults;
}

}  // namespace headroom::test
