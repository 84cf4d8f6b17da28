// Draws what surrounds the messages: the line about the pinned head, the page of an empty chat, the progress of a
// prompt, the last action on the cache, the button to the end. ui/transcript_messages.cpp draws the messages.
#include "ui/transcript.h"

#include <imgui.h>
#include <imgui_internal.h>
#include <imgui_rich_md/rich_md.h>
#include <imgui_stdlib.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "engine/base/architecture.h"
#include "ui/example_page.h"
#include "ui/number_text.h"
#include "ui/transcript_messages.h"
#include "ui/widgets.h"

namespace headroom {
namespace {

/// The label of a card and the message it sends.
struct Example {
  const char* title;
  const char* text;
};
constexpr std::array<Example, 4> examples = {{
    {example_page_title, example_page},
    {"What is gravity? Answer in three sentences.", nullptr},
    {"Write a Python function that finds the primes below n, and explain it.", nullptr},
    {"Compare a stack and a queue in a table.", nullptr},
}};

void heading(const char* text) {
  const RichMd::SizedFont bold = RichMd::GetFont(RichMd::MarkdownFontSpec(false, true));
  ImGui::PushFont(bold.font, bold.size);
  ImGui::TextUnformatted(text);
  ImGui::PopFont();
}

void progress(double fraction, const std::string& text) {
  meter(fraction, ImGui::GetColorU32(ImGuiCol_PlotHistogram), text.c_str(), ImGui::GetContentRegionAvail().x);
}

/// Draws the choice between text and tokens, and a sentence about the active head.
void draw_top_line(const Mirror& mirror, const ChatView& chat, UiState& state) {
  const std::string head = state.active_head() >= 0 ? head_sentence(mirror, state.active_head()) : "";
  if (chat.messages.empty() && mirror.tokens().empty() && head.empty()) return;
  const auto choice = [&](const char* label, bool tokens) {
    if (ImGui::RadioButton(label, state.show_tokens == tokens)) state.show_tokens = tokens;
    explain(std::string(tokens ? "The conversation as the tokens that the model reads" : "The conversation as text") +
            " (" + key_text(Action::toggle_tokens) + " changes it)");
    ImGui::SameLine();
  };
  choice("Text###as_text", false);
  choice("Tokens###as_tokens", true);
  if (head.empty()) {
    ImGui::NewLine();
  } else {
    ImGui::SetCursorPosY(ImGui::GetCursorPosY() + ImGui::GetStyle().FramePadding.y);
    elided_text(head);
  }
  ImGui::Separator();
}

const char* action_words(const std::string& action) {
  if (action == "first_turn") return "Cache built from the start";
  if (action == "appended") return "Cache kept and extended";
  if (action == "undone") return "Cache undone to an earlier turn";
  if (action == "re_encoded") return "Cache re-encoded";
  return "Cache";
}

std::string prefill_text(const RunningTurn& turn) {
  std::string text = "Reading " + count_text(turn.n_prefill_tokens, "token", "tokens");
  if (turn.n_prefill_layers > 0)
    text += ", layer " + std::to_string(turn.prefill_layer) + " of " + std::to_string(turn.n_prefill_layers);
  return text;
}

void draw_loading(const Mirror& mirror, Actions& actions) {
  const std::string stage = mirror.load_stage().empty() ? "Loading the model" : mirror.load_stage();
  const float room = ImGui::GetContentRegionAvail().x - width_of("Cancel") - 4 * ImGui::GetStyle().FramePadding.x;
  meter(mirror.load_fraction(), ImGui::GetColorU32(ImGuiCol_PlotHistogram),
        (stage + ", " + percent_text(mirror.load_fraction())).c_str(), std::max(room, ImGui::GetFontSize() * 4));
  ImGui::SameLine();
  if (ImGui::SmallButton("Cancel###cancel_load")) actions.cancel_load();
  explain(std::string("Stop loading (") + key_text(Action::stop) + ")");
}

/// Whether there is an action on the cache to report.
bool has_action(const Mirror& mirror, const ChatView& chat) {
  return !mirror.last_action().empty() && !chat.messages.empty() && mirror.n_cached() > 0;
}

/// Draws the line below the messages: loading, the progress of the prompt, or the last action on the cache.
void draw_bottom_line(const Mirror& mirror, const ChatView& chat, Actions& actions) {
  if (mirror.is_loading()) {
    draw_loading(mirror, actions);
  } else if (mirror.turn() && !mirror.turn()->is_generating) {
    progress(mirror.turn()->prefill_fraction, prefill_text(*mirror.turn()));
  } else if (has_action(mirror, chat)) {
    ImGui::PushStyleColor(ImGuiCol_Text, ImGui::GetStyleColorVec4(ImGuiCol_TextDisabled));
    const std::string& why = mirror.last_action_reason();
    elided_text(action_words(mirror.last_action()) + (why.empty() ? "" : ": " + why));
    ImGui::PopStyleColor();
  }
}

/// Begins a column in the middle for the page of an empty chat.
void begin_middle(float height) {
  const ImVec2 room = ImGui::GetContentRegionAvail();
  const float width = std::min(room.x, ImGui::GetFontSize() * 30);
  ImGui::SetCursorPos(
      {ImGui::GetCursorPosX() + (room.x - width) / 2, ImGui::GetCursorPosY() + std::max(0.0f, (room.y - height) / 3)});
  ImGui::BeginChild("###empty", {width, 0}, ImGuiChildFlags_None);
}

/// Draws ways to open a GGUF file, and how to get one.
void draw_ways_to_a_model(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions,
                          TranscriptState& own) {
  heading("No model is open");
  dimmed_text("Headroom chats with a GGUF file of the architecture " + architecture_list("or") + ".");
  ImGui::Spacing();
  if (ImGui::Button("Open a model…###open_model")) perform(Action::choose_model, mirror, chat, state, actions);
  explain(std::string("Choose a GGUF file (") + key_text(Action::choose_model) + ")");
  same_line_if_fits(width_of("or drop it on this window, or type its path:"));
  ImGui::AlignTextToFramePadding();
  dimmed_text("or drop it on this window, or type its path:");
  const float open_width = width_of("Open") + 2 * ImGui::GetStyle().FramePadding.x;
  ImGui::SetNextItemWidth(ImGui::GetContentRegionAvail().x - open_width - ImGui::GetStyle().ItemSpacing.x);
  const bool entered = ImGui::InputTextWithHint("###model_path", "/folder/model.gguf", &own.model_path,
                                                ImGuiInputTextFlags_EnterReturnsTrue);
  ImGui::SameLine();
  ImGui::BeginDisabled(own.model_path.empty());
  const bool opens = ImGui::Button("Open###open_path");
  ImGui::EndDisabled();
  explain("Open the file of this path");
  if ((entered || opens) && !own.model_path.empty()) actions.open_files({own.model_path});
  if (chat.default_model.path.empty()) return;
  ImGui::Dummy({0, ImGui::GetFontSize()});
  if (chat.default_model.is_there) {
    if (ImGui::Button("Open the default model###open_default")) actions.open_default_model();
    explain(chat.default_model.path);
    return;
  }
  dimmed_text(
      "No GGUF file at hand? This command, in the folder of Headroom's source, fetches SmolLM2 135M Instruct (98 MB):");
  constexpr const char* command = "./run.sh";
  ImGui::AlignTextToFramePadding();
  ImGui::TextUnformatted(command);
  ImGui::SameLine();
  if (ImGui::Button("Copy###copy_fetch")) actions.set_clipboard(command);
  explain("Copy the command");
  same_line_if_fits(width_of("Open it afterwards") + 2 * ImGui::GetStyle().FramePadding.x);
  if (ImGui::Button("Open it afterwards###open_default")) actions.open_default_model();
  explain("When the command is done: open what it fetched, " + chat.default_model.path);
}

void draw_no_model(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, TranscriptState& own) {
  begin_middle(ImGui::GetFontSize() * 14);
  if (!mirror.load_error().empty()) {
    ImGui::PushTextWrapPos(0);
    ImGui::TextUnformatted(("The model was not opened: " + mirror.load_error()).c_str());
    ImGui::PopTextWrapPos();
    ImGui::Spacing();
  }
  if (!chat.engine_is_running) {
    dimmed_text("The engine is not running.");
    if (ImGui::Button("Start the engine###start_engine")) perform(Action::restart_engine, mirror, chat, state, actions);
    explain(key_text(Action::restart_engine));
  } else {
    draw_ways_to_a_model(mirror, chat, state, actions, own);
  }
  ImGui::EndChild();
}

void draw_nothing_said(const ChatView& chat, UiState& state, Actions& actions) {
  begin_middle(ImGui::GetFontSize() * 15);
  dimmed_text("Nothing is said yet. Write a message below, or begin with one of these:");
  ImGui::Spacing();
  ImGui::PushStyleVar(ImGuiStyleVar_ButtonTextAlign, {0, 0.5f});
  for (size_t i = 0; i < examples.size(); ++i) {
    const char* title = examples[i].title;
    const char* text = examples[i].text != nullptr ? examples[i].text : title;
    const float pad = ImGui::GetStyle().FramePadding.x;
    const float width = ImGui::GetContentRegionAvail().x;
    const ImVec2 size = ImGui::CalcTextSize(title, nullptr, false, width - 4 * pad);
    ImGui::PushID(static_cast<int>(i));
    const ImVec2 at = ImGui::GetCursorScreenPos();
    // A button's label does not wrap, so the text is drawn over an empty button.
    if (ImGui::Button("###example", {width, size.y + 4 * pad})) {
      // If nothing can be sent now, the example becomes the draft.
      if (!chat.can_send || !actions.send(text)) state.draft = text;
    }
    ImGui::GetWindowDrawList()->AddText(ImGui::GetFont(), ImGui::GetFontSize(), {at.x + 2 * pad, at.y + 2 * pad},
                                        ImGui::GetColorU32(ImGuiCol_Text), title, nullptr, width - 4 * pad);
    ImGui::PopID();
    ImGui::Spacing();
  }
  ImGui::PopStyleVar();
  ImGui::EndChild();
}

void draw_empty(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions, TranscriptState& own) {
  if (chat.replay) {
    empty_panel_text("At this moment of the recording nothing is said yet. Continue with the bar below.");
  } else if (mirror.is_loading()) {
    begin_middle(ImGui::GetFontSize() * 4);
    dimmed_text("The model is being loaded. You can write the first message meanwhile.");
    ImGui::Spacing();
    draw_loading(mirror, actions);
    ImGui::EndChild();
  } else if (mirror.model() == nullptr) {
    draw_no_model(mirror, chat, state, actions, own);
  } else if (chat.is_read_only) {
    empty_panel_text("This chat has no messages. Another window writes the chats; this one only shows them.");
  } else {
    draw_nothing_said(chat, state, actions);
  }
}

/// Draws the button over the lower right corner of the messages.
void draw_to_end(TranscriptState& own, ImVec2 corner) {
  if (own.follows_end) return;
  const float em = ImGui::GetFontSize();
  const ImVec2 size = {width_of("To the end") + em, ImGui::GetFrameHeight()};
  const ImVec2 back = ImGui::GetCursorScreenPos();
  ImGui::SetCursorScreenPos({corner.x - size.x - 2 * em, corner.y - size.y - em});
  if (ImGui::BeginChild("###to_end_place", size, ImGuiChildFlags_None, ImGuiWindowFlags_NoScrollbar)) {
    if (ImGui::Button("To the end###to_end", size)) own.follows_end = true;
    explain(std::string("Go to the end and follow the answer (") + key_text(Action::to_end) + ")");
  }
  ImGui::EndChild();
  ImGui::SetCursorScreenPos(back);
  ImGui::Dummy({0, 0});
}

float bottom_height(const Mirror& mirror, const ChatView& chat) {
  const bool has_line = mirror.is_loading() || mirror.turn() || has_action(mirror, chat);
  return has_line ? ImGui::GetTextLineHeightWithSpacing() + ImGui::GetStyle().ItemSpacing.y : 0;
}

}  // namespace

bool scroll_transcript(Action action, TranscriptState& own) {
  switch (action) {
    case Action::page_up:
      own.wanted_pages -= 1;
      return true;
    case Action::page_down:
      own.wanted_pages += 1;
      return true;
    case Action::to_start:
      own.wants_start = true;
      return true;
    case Action::to_end:
      own.follows_end = own.tokens.follows_end = true;
      return true;
    default:
      return false;
  }
}

void draw_transcript(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions,
                     TranscriptState& own) {
  const auto began = std::chrono::steady_clock::now();
  own.lit_token = state.hovered_token;
  state.hovered_token = -1;
  draw_top_line(mirror, chat, state);
  if (state.show_tokens && !(chat.messages.empty() && mirror.tokens().empty())) {
    draw_token_view(mirror, chat, state, actions, own.tokens);
  } else if (chat.messages.empty()) {
    draw_empty(mirror, chat, state, actions, own);
  } else {
    const float height =
        std::max(ImGui::GetFontSize() * 3, ImGui::GetContentRegionAvail().y - bottom_height(mirror, chat));
    draw_messages(mirror, chat, state, actions, own, height);
    draw_to_end(own, ImGui::GetItemRectMax());
    draw_bottom_line(mirror, chat, actions);
  }
  own.built_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
}

}  // namespace headroom
