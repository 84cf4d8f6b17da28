// Draws a button and a modal window with a command to copy.
#include "ui/calibrate_dialog.h"

#include <imgui.h>

#include <algorithm>

#include "ui/widgets.h"

namespace headroom {
namespace {

constexpr const char* window_name = "Calibrate###calibrate_window";

}  // namespace

std::string calibrate_command(const std::string& model_path) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+,:@%";
  std::string quoted = model_path;
  if (model_path.empty() || model_path.find_first_not_of(plain) != std::string::npos) {
    quoted = "'";
    for (const char c : model_path) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    quoted += "'";
  }
  return "headroom calibrate -m " + quoted;
}

void draw_calibrate_button(const Mirror& mirror, Actions& actions) {
  if (ImGui::Button("Calibrate…###calibrate")) ImGui::OpenPopup(window_name);
  explain("Shows the command that measures how important each head of this model is.");
  const ImVec2 room = ImGui::GetMainViewport()->WorkSize;
  ImGui::SetNextWindowPos(ImGui::GetMainViewport()->GetWorkCenter(), ImGuiCond_Always, {0.5f, 0.5f});
  ImGui::SetNextWindowSize({std::min(room.x * 0.95f, ImGui::GetFontSize() * 36), 0}, ImGuiCond_Always);
  constexpr auto flags = ImGuiWindowFlags_NoCollapse | ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoMove |
                         ImGuiWindowFlags_NoResize;
  bool is_open = true;
  if (!ImGui::BeginPopupModal(window_name, &is_open, flags)) return;
  const std::string command = calibrate_command(mirror.model()->path);
  wrapped_text(
      "A calibration measures how important each KV head of this model is, and writes a table. It is needed once per "
      "model and takes some minutes. Run this in a terminal on the engine's machine:");
  ImGui::Spacing();
  wrapped_text(command);
  ImGui::Spacing();
  wrapped_text("Then open the model again: the configuration `headroom` uses the table for its budgets.");
  ImGui::Spacing();
  if (ImGui::Button("Copy command###copy_command")) actions.set_clipboard(command);
  explain("Copies the command to the clipboard.");
  same_line_if_fits(width_of("Close") + 2 * ImGui::GetStyle().FramePadding.x);
  if (ImGui::Button("Close###close_calibrate") || ImGui::IsKeyPressed(ImGuiKey_Escape)) ImGui::CloseCurrentPopup();
  ImGui::EndPopup();
}

}  // namespace headroom
