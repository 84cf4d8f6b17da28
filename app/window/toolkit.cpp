// Display scale ─► contexts with fonts and theme.
#include "app/window/toolkit.h"

#include <imgui.h>
#include <imgui_rich_md/rich_md.h>
#include <implot.h>

#include "ui/fonts.h"
#include "ui/theme.h"

namespace headroom {

Toolkit::Toolkit(float display_scale, bool follows_links) {
  IMGUI_CHECKVERSION();
  imgui_ = ImGui::CreateContext();
  ImGui::SetCurrentContext(imgui_);
  plots_ = ImPlot::CreateContext();
  ImPlot::SetCurrentContext(plots_);
  ImGuiIO& io = ImGui::GetIO();
  io.IniFilename = nullptr;  // the program stores the layout of panels itself
  io.LogFilename = nullptr;
  io.ConfigFlags |= ImGuiConfigFlags_NavEnableKeyboard | ImGuiConfigFlags_DockingEnable;
  io.ConfigInputTextCursorBlink = false;  // an idle window draws nothing
  io.ConfigWindowsMoveFromTitleBarOnly = true;

  RichMd::MarkdownOptions markdown;
  markdown.fontOptions.regularSize = base_font_size;
  markdown.hardSoftBreaks = true;  // a line break in a message is a line break
  // An answer is untrusted text and must not open files.
  markdown.callbacks.OnImage = [](const std::string&) { return std::nullopt; };
  if (!follows_links) markdown.callbacks.OnOpenLink = [](const std::string&) {};
  markdown_ = RichMd::CreateContext(markdown);
  RichMd::SetCurrentContext(markdown_);
  add_fonts();

  ImGuiStyle& style = ImGui::GetStyle();
  style.FontSizeBase = base_font_size;
  style.FontScaleDpi = display_scale;
  apply_theme(true, 1.0f);
}

void Toolkit::make_current() const {
  ImGui::SetCurrentContext(imgui_);
  ImPlot::SetCurrentContext(plots_);
  RichMd::SetCurrentContext(markdown_);
}

void Toolkit::before_renderer_ends() {
  make_current();
  if (markdown_ != nullptr) RichMd::DestroyContext(markdown_);
  markdown_ = nullptr;
}

Toolkit::~Toolkit() {
  before_renderer_ends();
  ImPlot::DestroyContext(plots_);
  ImGui::DestroyContext(imgui_);
}

}  // namespace headroom
