// Draws the controls of a recording. See replay_bar.h.
#include "ui/replay_bar.h"

#include <imgui.h>

#include <algorithm>
#include <cstdio>

#include "ui/number_text.h"
#include "ui/shortcuts.h"
#include "ui/widgets.h"

namespace headroom {
namespace {

constexpr double speeds[] = {0.25, 0.5, 1, 2, 4, 8};

void explain_action(const char* text, Action action) {
  ImGui::SetItemTooltip("%s (%s)", text, key_text(action));
}

}  // namespace

void draw_replay_bar(const Mirror& mirror, const ChatView& chat, Actions& actions) {
  const ReplayView& replay = *chat.replay;
  if (ImGui::Button(replay.is_playing ? "Pause###play" : "Play###play")) actions.replay_play_or_pause();
  explain_action(replay.is_playing ? "Hold the recording here" : "Play the recording as it happened",
                 Action::replay_play_or_pause);
  ImGui::SameLine();
  ImGui::BeginDisabled(replay.moment == 0);
  if (ImGui::Button("<###step_back")) actions.replay_seek(replay.moment - 1);
  ImGui::EndDisabled();
  explain_action("One moment back: before the last token or prompt", Action::replay_back);
  ImGui::SameLine();
  ImGui::BeginDisabled(replay.moment + 1 >= replay.n_moments);
  if (ImGui::Button(">###step_on")) actions.replay_seek(replay.moment + 1);
  ImGui::EndDisabled();
  explain_action("One moment forward: after the next token or prompt", Action::replay_forward);
  ImGui::SameLine();
  char speed[32];
  std::snprintf(speed, sizeof speed, "%gx", replay.speed);
  ImGui::SetNextItemWidth(ImGui::GetFontSize() * 4.5f);
  if (ImGui::BeginCombo("###speed", speed)) {
    for (const double factor : speeds) {
      std::snprintf(speed, sizeof speed, "%gx", factor);
      if (ImGui::Selectable(speed, factor == replay.speed)) actions.replay_speed(factor);
    }
    ImGui::EndCombo();
  }
  explain_action("Playback speed, relative to the recording", Action::replay_faster);
  if (replay.has_chat_behind) {
    ImGui::SameLine();
    if (ImGui::Button("Back to the chat###close_replay")) actions.close_replay();
    explain_action("Close the recording and return to the chat", Action::close_replay);
  }
  ImGui::SameLine();
  ImGui::AlignTextToFramePadding();
  ImGui::SetCursorPosY(ImGui::GetCursorPosY() + ImGui::GetStyle().FramePadding.y);
  elided_text("recording · " + count_text(mirror.n_cached(), "token", "tokens") + " in the cache");

  int moment = replay.moment;
  ImGui::SetNextItemWidth(-1);
  if (ImGui::SliderInt("###moment", &moment, 0, std::max(replay.n_moments - 1, 0), "moment %d",
                       ImGuiSliderFlags_AlwaysClamp))
    actions.replay_seek(moment);
  ImGui::SetItemTooltip("A moment is the state after a prompt or after a generated token; drag to go there");
}

}  // namespace headroom
